"""Billing's pages outside of a brand: what Harbor is, what it costs, and Stripe's webhook."""

from __future__ import annotations

from django.urls import URLPattern, path

from billing import marketing
from billing.webhook import stripe_webhook

urlpatterns: list[URLPattern] = [
    path("", marketing.landing, name="landing"),
    path("pricing/", marketing.pricing, name="pricing"),
    path("webhooks/stripe/", stripe_webhook, name="stripe_webhook"),
]
