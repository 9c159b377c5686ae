"""A stateful stand-in for Stripe: the API at 2026-08-26.dahlia, Checkout, the portal, webhooks."""

from sandbox.stripe.app import create_app

__all__ = ["create_app"]
