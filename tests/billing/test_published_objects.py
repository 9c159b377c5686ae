"""Stripe's published objects through our webhook, with null and nothing wherever it may say so.

The objects are built from its schemas (`tests.contracts.samples`), not taken from our stand-in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import stripe as vendor
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import gateway, handlers, inbox
from billing.models import BillingAccount, Invoice, StripeInbox, Subscription
from saas.tenancy import everyone, scope
from tests.billing.signing import sign
from tests.contracts import contract
from tests.contracts.samples import NOW, Path, Published, bare, sample, schema_of, weak_places
from tests.contracts.samples import weakened

CUSTOMER = "cus_QXg1o8vcGmoR32"  # what Stripe's ids look like is nobody's business but its own
PATHS = {
    "subscription": "/v1/subscriptions",
    "invoice": "/v1/invoices",
    "customer": "/v1/customers",
    "checkout.session": "/v1/checkout/sessions",
    "promotion_code": "/v1/promotion_codes",
}
TYPES = {
    "subscription": [
        f"customer.subscription.{verb}"
        for verb in (
            "created", "updated", "deleted", "paused", "resumed", "trial_will_end",
            "pending_update_applied", "pending_update_expired",
        )
    ],
    "invoice": [
        f"invoice.{verb}"
        for verb in (
            "created", "finalized", "finalization_failed", "paid", "payment_failed", "updated",
            "payment_action_required", "payment_succeeded", "sent", "voided", "overdue",
            "marked_uncollectible", "overpaid", "will_be_due", "upcoming", "deleted",
        )
    ],
    "customer": ["customer.created", "customer.updated"],
    "checkout.session": [
        f"checkout.session.{verb}"
        for verb in ("completed", "expired", "async_payment_failed", "async_payment_succeeded")
    ],
    "discount": [f"customer.discount.{verb}" for verb in ("created", "updated", "deleted")],
    "promotion_code": ["promotion_code.created", "promotion_code.updated"],
}  # fmt: skip
KINDS = list(TYPES)


@pytest.fixture
def published(brand: Any, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Published]:
    """Stripe with nothing but samples, of which those of CUSTOMER are our brand's."""
    with scope(brand):
        BillingAccount.objects.update(stripe_customer=CUSTOMER)
    with Published().serving() as serving:
        settings.STRIPE_API_BASE = serving.url
        monkeypatch.setattr(vendor, "api_base", serving.url)
        yield serving
    gateway._client.cache_clear()


def ours(kind: str, identifier: str) -> dict[str, Any]:
    """A whole sample that belongs to our brand and, where it has one, to a plan of the catalog."""
    found = sample(kind, id=identifier)
    if kind == "customer":
        return found
    if kind == "subscription":
        found["status"] = "active"
        found["items"]["data"][0]["price"]["metadata"] = {"plan": "leads_growth"}
        found["items"]["data"][0]["price"]["recurring"]["usage_type"] = "licensed"
    return found | {"customer": CUSTOMER} if "customer" in found else found


def event(kind: str, found: dict[str, Any], type_: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"evt_{kind}_{found.get('id')}_{type_}",
        "object": "event",
        "api_version": None,
        "created": NOW,
        "data": {"object": found},
        "livemode": False,
        "pending_webhooks": 0,
        "request": None,
        "type": type_,
        **fields,
    }


def deliver(*events: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Post events as Stripe does and work them off; return their states and errors by id."""
    for one in events:
        body = json.dumps(one)
        answer = Client().post(
            "/webhooks/stripe/", data=body, content_type="application/json",
            headers={"stripe-signature": sign(body)},
        )  # fmt: skip
        assert answer.status_code == 200, one["id"]
    inbox.drain()
    rows = StripeInbox.objects.values_list("event_id", "state", "last_error")
    return {event_id: (state, error) for event_id, state, error in rows}


def place(published: Published, kind: str, found: dict[str, Any]) -> None:
    if kind in PATHS:
        published.objects[f"{PATHS[kind]}/{found['id']}"] = found


def test_the_samples_are_stripes() -> None:
    for kind in KINDS:
        whole = ours(kind, "x")
        assert contract().validate_object(kind, whole) == []
        assert contract().validate_object(kind, bare(schema_of(kind), whole)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_of_event_is_worked_off(published: Published, kind: str) -> None:
    whole = ours(kind, "x_whole")
    least = bare(schema_of(kind), ours(kind, "x_least"))
    if kind == "subscription":
        least["status"] = "canceled"
    sent = [event(kind, found, type_) for type_ in TYPES[kind] for found in (whole, least)]
    for found in (whole, least):
        place(published, kind, found)
    ended = deliver(*sent)
    assert {name: end for name, end in ended.items() if end != ("done", "")} == {}
    assert len(ended) == len(sent)


@pytest.mark.parametrize("kind", KINDS)
def test_each_property_may_be_null_or_absent(published: Published, kind: str) -> None:
    whole = ours(kind, "x")
    places = [one for one in weak_places(schema_of(kind), whole) if len(one[0]) == 1]
    sent = []
    for number, (path, how) in enumerate(places):
        found = weakened(whole, path, how) | {"id": f"x_{number}"}
        place(published, kind, found)
        type_ = TYPES[kind][number % len(TYPES[kind])]
        sent.append(event(kind, found, type_, id=f"evt_{path[0]}_{how}"))
    ended = deliver(*sent)
    assert {name: end for name, end in ended.items() if end != ("done", "")} == {}


def damage(kind: str) -> st.SearchStrategy[list[tuple[Path, str]]]:
    places = list(weak_places(schema_of(kind), ours(kind, "x")))
    return st.lists(st.sampled_from(places), min_size=1, max_size=12, unique=True)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_places_may_be_null_or_absent_together(
    published: Published, kind: str, data: st.DataObject
) -> None:
    found = ours(kind, "x")
    for path, how in data.draw(damage(kind)):
        try:
            found = weakened(found, path, how)
        except (KeyError, TypeError):
            continue  # its holder is gone already
    place(published, kind, found)
    handlers.project(event(kind, found, TYPES[kind][0]))
