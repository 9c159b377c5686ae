"""Signatures as Stripe makes them."""

from __future__ import annotations

import hashlib
import hmac
import time

from django.conf import settings

SECRET = settings.STRIPE_WEBHOOK_SECRETS[0]


def sign(body: str, *, secret: str = SECRET, at: float | None = None) -> str:
    """The Stripe-Signature of a body: ours and of now, unless said otherwise."""
    stamp = int(time.time() if at is None else at)
    mac = hmac.new(secret.encode(), f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={stamp},v1={mac}"
