"""Whatever Stripe answers, a person who presses a button of billing reads a sentence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing import operations, urls_brand
from billing.models import StripeOperation
from saas.tenancy import scope
from tests.billing.conftest import Stripe
from tests.billing.test_subscribing import choose

SPEAKS_TO_STRIPE = ("checkout", "portal", "cancel", "resume", "preview", "apply", "keep")
READS = ("overview", "subscribe", "change", "return", "return_status")
SMALLER = "?plan=leads_starter&interval=month"
AWAY, OURS = "We couldn&#x27;t reach Stripe just now.", "Payments are not available at the moment."
FAULTS = [
    ({"kind": "status", "status": 500}, AWAY),
    ({"kind": "status", "status": 503, "when": "after"}, AWAY),
    ({"kind": "status", "status": 429}, AWAY),
    ({"kind": "status", "status": 409}, AWAY),
    ({"kind": "drop"}, AWAY),
    ({"kind": "drop", "when": "after"}, AWAY),
    ({"kind": "status", "status": 401}, OURS),
]
NEXT = {
    "checkout": "Try again in a minute.",
    "portal": "Try again in a minute.",
    "cancel": "Your cancellation is kept, and is carried out by itself",
    "resume": "Your plan is to go on: we tell Stripe by ourselves",
    "preview": "Try again in a minute.",
    "apply": "Your change is kept, and is carried out by itself",
    "keep": "Your change is kept, and is carried out by itself",
}


@pytest.fixture
def customer(catalog: None, client_for: Any, owner: Any) -> Client:
    client: Client = client_for(owner)
    return client


def subscribe(client: Client, brand: Any, stripe: Stripe) -> None:
    stripe.pay(choose(client, brand))
    stripe.deliver()


def press(client: Client, brand: Any, name: str, **form: str) -> str:
    base = f"/b/{brand.slug}/billing/"
    if name == "preview":
        answer = client.get(f"{base}change/preview/{SMALLER}")
    elif name in ("apply", "keep"):
        answer = client.post(f"{base}change/{name}/", form)
    else:
        chosen = {"plan": "leads_growth", "currency": "usd"} if name == "checkout" else {}
        answer = client.post(f"{base}{name}/", chosen)
    assert (answer.status_code, answer["Location"]) == (302, f"/b/{brand.slug}/billing/")
    return client.get(answer["Location"]).content.decode()


def test_every_page_of_billing_is_here() -> None:
    assert {pattern.name for pattern in urls_brand.urlpatterns} == {*SPEAKS_TO_STRIPE, *READS}


@pytest.mark.parametrize(("fault", "words"), FAULTS)
@pytest.mark.parametrize("name", SPEAKS_TO_STRIPE)
def test_an_outage_of_everything(
    customer: Client, brand: Any, stripe: Stripe, name: str, fault: dict[str, Any], words: str
) -> None:
    if name != "checkout":
        subscribe(customer, brand, stripe)
    form = {}
    if name in ("apply", "keep"):
        page = customer.get(f"/b/{brand.slug}/billing/change/preview/{SMALLER}")
        form = {"promise": page.context["preview"].promise}
    if name == "keep":
        press(customer, brand, "apply", **form)
    stripe.control("faults", {"match": "*", **fault})
    shown = press(customer, brand, name, **form)
    assert f"{words} {NEXT[name]}" in shown


@pytest.mark.parametrize(
    ("match", "fault"),
    [
        ("GET /v1/subscriptions", {"kind": "drop"}),
        ("GET /v1/prices", {"kind": "drop"}),
        ("POST /v1/checkout/sessions", {"kind": "status", "status": 502}),
        ("GET /v1/checkout/sessions/*", {"kind": "status", "status": 502}),
        ("POST /v1/checkout/sessions/*/expire", {"kind": "status", "status": 502}),
    ],
)
def test_an_outage_of_one_step_of_the_checkout(
    customer: Client, brand: Any, stripe: Stripe, match: str, fault: dict[str, Any]
) -> None:
    choose(customer, brand, "leads_scale")
    stripe.control("faults", {"match": match, **fault})
    assert f"{AWAY} {NEXT['checkout']}" in press(customer, brand, "checkout")
    stripe.control("faults", method="DELETE")
    with scope(brand):  # a minute later
        StripeOperation.objects.filter(state="pending").update(next_attempt_at=timezone.now())
    choose(customer, brand)
    assert [s["status"] for s in stripe.objects("checkout/sessions")] == ["open", "expired"]


def test_a_catalog_that_is_not_at_stripe(
    db: None, client_for: Any, owner: Any, brand: Any, stripe: Stripe
) -> None:
    assert f"{OURS} {NEXT['checkout']}" in press(client_for(owner), brand, "checkout")


def test_news_that_cannot_be_fetched_after_a_cancellation(
    customer: Client, brand: Any, stripe: Stripe
) -> None:
    """Stripe has carried it out; only our look at it failed, and its event brings that."""
    subscribe(customer, brand, stripe)
    stripe.control("faults", {"match": "GET /v1/subscriptions/*", "kind": "drop"})
    assert "Your plan ends with the period you have paid for." in press(customer, brand, "cancel")
    stripe.control("faults", method="DELETE")
    stripe.deliver()
    assert "Ends soon" in customer.get(f"/b/{brand.slug}/billing/").content.decode()


@pytest.mark.parametrize("answer", [operations.Retryable("stripe"), operations.Refused("no", "No")])
def test_a_lease_that_ran_out_during_the_call(
    customer: Client,
    brand: Any,
    stripe: Stripe,
    monkeypatch: pytest.MonkeyPatch,
    answer: Exception,
) -> None:
    """The sweep took the operation over: its outcome counts, and ours is dropped without a 500."""
    subscribe(customer, brand, stripe)
    send = operations._send

    def overtaken(row: StripeOperation) -> Any:
        monkeypatch.setattr(operations, "_send", send)
        with scope(brand):
            over = timezone.now() - timedelta(seconds=1)
            StripeOperation.objects.filter(pk=row.pk).update(lease_until=over)
        operations.execute(row)
        raise answer

    monkeypatch.setattr(operations, "_send", overtaken)
    reached = customer.post(f"/b/{brand.slug}/billing/portal/")
    assert reached.status_code == 303
    assert "/portal/" in reached["Location"]
