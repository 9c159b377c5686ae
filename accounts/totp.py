"""Turning TOTP on: the secret waits in the session until its first code, and waits there sealed.

allauth keeps it there in clear, and a session lies in PostgreSQL and in Valkey.
"""

from __future__ import annotations

from typing import Any

from allauth.core import context
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY, generate_totp_secret
from django import forms

from accounts.models import User
from saas import crypto


class ActivateForm(ActivateTOTPForm):  # type: ignore[misc]
    """allauth's form (settings.MFA_FORMS), whose secret never enters the session in clear."""

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        # Not allauth's, which is where the secret would go into the session.
        forms.Form.__init__(self, *args, **kwargs)
        self.user = user
        self.secret = (self._waiting() if self.is_bound else "") or self._fresh()

    def _waiting(self) -> str:
        """The secret that this person was shown; "" when there is none that opens."""
        try:
            return crypto.unseal(context.request.session[SECRET_SESSION_KEY], context=self._place)
        except (KeyError, crypto.Unopenable):
            return ""

    def _fresh(self) -> str:
        secret: str = generate_totp_secret()
        sealed = crypto.seal(secret, context=self._place)
        context.request.session[SECRET_SESSION_KEY] = sealed
        return secret

    @property
    def _place(self) -> str:
        return f"mfa.pending:{self.user.pk}"
