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

from billing import gateway, handlers, inbox, mirror, projection
from billing.models import BillingAccount, Invoice, StripeInbox, Subscription
from saas.tenancy import everyone, scope
from tests.billing.signing import sign
from tests.contracts import contract
from tests.contracts.samples import (
    NOW,
    Path,
    Published,
    bare,
    sample,
    schema_of,
    weak_places,
    weakened,
)

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


@pytest.mark.slow
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


def told(published: Published, brand: Any, **fields: Any) -> Subscription:
    """Our row of a subscription that Stripe shows with these fields."""
    found = ours("subscription", "sub_told") | fields
    place(published, "subscription", found)
    assert projection.subscription(found["id"])
    with scope(brand):
        row: Subscription = Subscription.objects.get()
    return row


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("active", "active"),
        ("trialing", "active"),
        ("past_due", "past_due"),
        ("unpaid", "downgraded"),
        ("paused", "downgraded"),
        ("canceled", "canceled"),
        ("incomplete", "trialing"),
        ("incomplete_expired", "trialing"),
        ("of_a_later_version", "trialing"),
    ],
)
def test_every_status_has_its_standing_and_an_unknown_one_grants_nothing(
    published: Published, brand: Any, status: str, standing: str
) -> None:
    assert told(published, brand, status=status).status == status
    with scope(brand):
        assert BillingAccount.objects.get().standing == standing


def test_an_end_that_is_a_moment_counts_from_the_period_that_it_ends(
    published: Published, brand: Any
) -> None:
    plain = {"cancel_at_period_end": False}
    assert told(published, brand, **plain, cancel_at=None).cancel_at_period_end is False
    assert told(published, brand, **plain, cancel_at=NOW).cancel_at_period_end is True
    assert told(published, brand, **plain, cancel_at=NOW + 1).cancel_at_period_end is False


@pytest.mark.parametrize(
    "price", ["price_1", {"id": "price_1", "object": "price", "deleted": True}, "whole"]
)
def test_a_schedule_to_something_of_no_plan_leaves_the_rest_known(
    published: Published, brand: Any, price: Any
) -> None:
    schedule = sample("subscription_schedule")
    schedule["current_phase"] = {"start_date": NOW - 1, "end_date": NOW}
    schedule["phases"][0]["items"][0]["price"] = sample("price") if price == "whole" else price
    row = told(published, brand, schedule=schedule)
    assert (row.plan, row.schedule) == ("leads_growth", schedule["id"])
    assert (row.next_plan, row.next_seats) == ("", 1)


def test_a_deleted_customer_is_forgotten(published: Published, brand: Any) -> None:
    gone = sample("deleted_customer", id=CUSTOMER, deleted=True)
    place(published, "customer", gone)
    told(published, brand)
    assert set(deliver(event("customer", gone, "customer.deleted")).values()) == {("done", "")}
    with scope(brand):
        assert BillingAccount.objects.get().stripe_customer is None
        assert Subscription.objects.get().status == "canceled"


@pytest.mark.parametrize("kind", KINDS)
def test_what_belongs_to_nobody_here_is_acknowledged_and_leaves_nothing(
    published: Published, kind: str
) -> None:
    found = sample(kind, id="of_others")
    place(published, kind, found)
    assert set(deliver(event(kind, found, TYPES[kind][0])).values()) == {("done", "")}
    with everyone("test"):
        assert not Subscription.objects.exists()
        assert not Invoice.objects.exists()


def until_rest() -> StripeInbox:
    for _ in range(inbox.MOST_ATTEMPTS + 2):
        StripeInbox.objects.update(next_attempt_at="2020-01-01T00:00:00Z")
        inbox.drain()
    return StripeInbox.objects.get()


def test_a_price_of_no_plan_is_parked_with_its_reason(published: Published, brand: Any) -> None:
    found = ours("subscription", "sub_foreign")
    found["items"]["data"][0]["price"] |= {"metadata": {}, "lookup_key": None}
    place(published, "subscription", found)
    deliver(event("subscription", found, "customer.subscription.updated"))
    row = until_rest()
    assert (row.state, row.attempts) == ("parked", inbox.MOST_ATTEMPTS)
    assert "belongs to no plan of the catalog" in row.last_error


def test_a_fault_that_nobody_foresaw_is_seen_and_parked(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: dict[str, Any]) -> bool:
        raise AssertionError("impossible")

    monkeypatch.setattr(handlers, "project", fails)
    for attempt in range(1, inbox.MOST_ATTEMPTS + 1):
        with pytest.raises(AssertionError):
            deliver(event("invoice", ours("invoice", "in_odd"), "invoice.paid"))
        row = StripeInbox.objects.get()
        assert (row.attempts, row.lease_until) == (attempt, None)
        StripeInbox.objects.update(next_attempt_at="2020-01-01T00:00:00Z")
    assert row.state == "parked"
    assert row.last_error == "AssertionError: impossible"


def test_a_key_that_may_not_read_the_account_still_mirrors(
    published: Published, settings: Any
) -> None:
    settings.STRIPE_ACCOUNT_ID = ""
    published.gone.add("/v1/account")
    mirror.account_id.cache_clear()
    found = ours("invoice", "in_1")
    place(published, "invoice", found)
    paid = event("invoice", found, "invoice.paid")
    foreign = event("invoice", found, "invoice.paid", id="evt_foreign", account="acct_other")
    try:
        ended = deliver(paid, foreign)
    finally:
        mirror.account_id.cache_clear()
    assert ended == {paid["id"]: ("done", ""), "evt_foreign": ("ignored", "")}


def test_a_thin_event_is_kept_and_ignored(published: Published) -> None:
    thin = {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered",
        "livemode": False,
        "created": "2026-09-21T14:13:20.123Z",
        "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/x"},
    }
    assert deliver(thin) == {"evt_thin": ("ignored", "")}
    assert int(StripeInbox.objects.get().created.timestamp()) == NOW
