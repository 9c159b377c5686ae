"""Subscriptions of the demo, made at the sandbox's Stripe by Stripe's own API."""

from __future__ import annotations

from typing import Any

from accounts.models import Brand
from billing import catalog, customers, gateway, projection


def subscribe(brand: Brand, *, plan: str, card: str, **more: Any) -> str:
    """Subscribe with a test card and project the outcome; return the subscription's id."""
    customer = customers.ensure(brand.pk)
    method = _attach(brand, customer, card)
    price = gateway.get("/v1/prices", {"lookup_keys": [catalog.PLANS[plan].lookup_key()]})["data"][
        0
    ]
    made = gateway.write(
        "post",
        "/v1/subscriptions",
        {
            "customer": customer,
            "items": [{"price": price["id"]}],
            "default_payment_method": method,
            "metadata": {"brand": str(brand.pk), "plan": plan},
            **more,
        },
        key=f"demo-{brand.pk}-subscribe",
    )
    projection.subscription(made["id"])
    return str(made["id"])


def fall_behind(brand: Brand, *, plan: str) -> None:
    """Subscribe with a trial, put a card in that saves and then fails, and end the trial."""
    subscription = subscribe(brand, plan=plan, card="pm_card_visa", trial_period_days=7)
    customer = customers.ensure(brand.pk)
    failing = _attach(brand, customer, "pm_card_chargeCustomerFail")
    gateway.write(
        "post",
        f"/v1/subscriptions/{subscription}",
        {"default_payment_method": failing, "trial_end": "now"},
        key=f"demo-{brand.pk}-fall-behind",
    )
    projection.subscription(subscription)


def _attach(brand: Brand, customer: str, card: str) -> str:
    path = f"/v1/payment_methods/{card}/attach"
    key = f"demo-{brand.pk}-{card}"
    return str(gateway.write("post", path, {"customer": customer}, key=key)["id"])
