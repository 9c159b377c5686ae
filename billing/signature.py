"""Is this delivery really Stripe's, and of now? Our own check of the Stripe-Signature header.

Beside what stripe-python checks (HMAC, age), a time stamp from the future is refused, and two
secrets may be valid while one is being replaced.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Literal

TOLERANCE = 300  # seconds, both ways

Fault = Literal["signature_missing", "signature_wrong", "too_old", "from_the_future"]


def fault(body: bytes, header: str, secrets: Sequence[str], now: float) -> Fault | None:
    """Return why the delivery must be refused, or None. Constant time in the signatures."""
    stamp, signatures = _parts(header)
    if stamp is None or not signatures:
        return "signature_missing"
    signed = b"%d.%b" % (stamp, body)
    right = [hmac.new(s.encode(), signed, hashlib.sha256).hexdigest() for s in secrets]
    if not any(hmac.compare_digest(a.encode(), b.encode()) for a in right for b in signatures):
        return "signature_wrong"
    if stamp < now - TOLERANCE:
        return "too_old"
    return "from_the_future" if stamp > now + TOLERANCE else None


def _parts(header: str) -> tuple[int | None, list[str]]:
    stamp: int | None = None
    signatures: list[str] = []
    for part in header.split(",")[:20]:
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdecimal() and len(value) <= 12:
            stamp = int(value)
        elif name == "v1" and value.isascii():
            signatures.append(value)
    return stamp, signatures
