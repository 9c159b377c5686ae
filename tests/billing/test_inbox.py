"""Events of one object that wait together are worked as one, and none is lost by that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from billing import checkout, handlers, inbox, mirror
from billing.models import StripeInbox
from saas.errors import Retryable
from tests.billing.conftest import Stripe, send
from tests.billing.test_webhook import event, post

pytestmark = pytest.mark.usefixtures("catalog")


@pytest.fixture
def waiting(brand: Any, owner: Any, stripe: Stripe) -> int:
    """All events of a customer who subscribes and pays a second month, none of them worked."""
    stripe.pending()  # the catalog's
    url = checkout.start(brand=brand, plan="leads_growth", currency="usd", actor=owner)
    stripe.pay(url)
    stripe.advance(32)
    deliveries = stripe.pending()
    for delivery in deliveries:
        assert send(delivery).status_code == 200
    return len(deliveries)


def spy(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[str]:
    """Note the ids of the objects that `module.name` works."""
    seen: list[str] = []
    does = getattr(module, name)

    def noted(sent: dict[str, Any]) -> Any:
        seen.append(str(sent["data"]["object"].get("id")))
        return does(sent)

    monkeypatch.setattr(module, name, noted)
    return seen


def test_each_object_is_fetched_once_for_all_its_waiting_events(
    waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "BATCH", waiting)
    projected, mirrored = spy(monkeypatch, handlers, "project"), spy(monkeypatch, mirror, "process")
    bodies = [json.loads(row.body)["data"]["object"] for row in StripeInbox.objects.all()]
    named = {one["id"] for one in bodies if "id" in one}
    assert inbox.drain() == waiting
    assert len(named) < waiting * 2 / 3
    for seen in (projected, mirrored):
        assert sorted(one for one in seen if one != "None") == sorted(named)
    assert set(StripeInbox.objects.values_list("state", flat=True)) == {"done"}


def test_the_last_word_on_an_object_is_that_it_is_gone(
    stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events of one second have no order, and what is deleted can't be fetched."""
    gone = {"id": "prod_gone", "object": "product"}
    types: list[str] = []
    monkeypatch.setattr(mirror, "process", lambda sent: types.append(sent["type"]))
    post(event(type="product.deleted", data={"object": gone | {"deleted": True}}))
    post(event(type="product.updated", data={"object": gone}))
    assert inbox.drain() == 2
    assert types == ["product.deleted"]


def test_one_that_cannot_be_worked_holds_up_no_other_of_its_object(stripe: Stripe) -> None:
    thing = {"id": "issfr_1", "object": "radar.early_fraud_warning"}
    post(event(data={"object": thing}))
    post(event(data={"object": thing | {"note": "a\x00b"}}))  # PostgreSQL's JSON has no NUL
    inbox.drain()
    assert sorted(StripeInbox.objects.values_list("state", flat=True)) == ["done", "pending"]
    [bad] = StripeInbox.objects.filter(state="pending")
    assert bad.last_error.startswith("DataError")


def test_an_id_that_names_nothing_stands_alone(stripe: Stripe) -> None:
    thing = {"id": ["not", "an", "id"], "object": "radar.early_fraud_warning"}
    post(event(data={"object": thing}))
    post(event(data={"object": {"id": "issfr_1", "object": "radar.early_fraud_warning"}}))
    inbox.drain()
    assert StripeInbox.objects.filter(state="done").count() >= 1
    assert not StripeInbox.objects.exclude(lease_until=None).exists()


def test_a_fault_of_ours_holds_no_other_event_of_its_object(
    stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_: dict[str, Any]) -> bool:
        raise AssertionError("nobody foresaw it")

    monkeypatch.setattr(handlers, "project", breaks)
    for _ in range(3):
        post(event(data={"object": {"id": "issfr_1", "object": "radar.early_fraud_warning"}}))
    with pytest.raises(AssertionError, match="foresaw"):
        inbox.work(inbox._claim())
    left = StripeInbox.objects.order_by("attempts").values_list("state", "attempts", "lease_until")
    assert list(left) == [("pending", 0, None), ("pending", 0, None), ("pending", 1, None)]


def test_an_outage_is_asked_once_for_all_and_counts_against_none(
    waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def away(sent: dict[str, Any]) -> bool:
        asked.append(sent["id"])
        raise Retryable("stripe", after=30)

    monkeypatch.setattr(inbox, "BATCH", waiting)
    monkeypatch.setattr(handlers, "project", away)
    inbox.drain()
    assert len(asked) < waiting * 2 / 3
    assert set(StripeInbox.objects.values_list("state", "lease_until")) == {("pending", None)}


def test_what_a_slow_stripe_leaves_no_time_for_goes_back(
    waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "HELD", 0.0)
    rows = inbox._claim()
    assert inbox.work(rows) == 0
    left = StripeInbox.objects.filter(pk__in=[row.pk for row in rows])
    assert set(left.values_list("state", "attempts", "lease_until")) == {("pending", 0, None)}


def test_events_whose_lease_ran_out_are_not_ended_twice(
    waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = inbox._claim()
    StripeInbox.objects.update(lease_until="2020-01-01T00:00:00Z")
    other = inbox._claim()
    assert {row.pk for row in slow} == {row.pk for row in other}
    inbox.work(slow)
    assert set(StripeInbox.objects.values_list("state", flat=True)) == {"pending"}
    inbox.work(other)
    done = StripeInbox.objects.filter(pk__in=[row.pk for row in other])
    assert set(done.values_list("state", flat=True)) == {"done"}
