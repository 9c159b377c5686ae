"""Re-sealing of second factors, which allauth keeps in a JSON column (see saas.rotation)."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator

from accounts.adapter import MFA_CONTEXT
from saas import crypto, rotation


@rotation.register
def reseal() -> rotation.Report:
    """Move TOTP secrets and recovery seeds to the current key. A row that changed meanwhile (a
    recovery code was used) stays for the next run."""
    report = rotation.Report("mfa_authenticator.data")
    rows = Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN).order_by("pk")
    for factor in rows.iterator(chunk_size=rotation.BATCH):
        try:
            fresh = {name: _fresh(value) for name, value in factor.data.items()}
        except crypto.Unopenable:
            report.unopenable += 1
            continue
        if fresh != factor.data:
            same = Authenticator.objects.filter(pk=factor.pk, data=factor.data)
            report.resealed += same.update(data=fresh)
    return report


def _fresh(value: Any) -> Any:
    if isinstance(value, list):
        return [_fresh(item) for item in value]
    if not isinstance(value, str) or rotation.is_current(value):
        return value
    return crypto.seal(crypto.unseal(value, context=MFA_CONTEXT), context=MFA_CONTEXT)
