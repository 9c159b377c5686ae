"""Schedules: what a subscription turns into when its period is over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.box import DAY, Box
from tests.sandbox.stripe.test_stripe_invoices import halfway, item

HOUR = 3600
YEAR = {"interval": "year"}


def begin(box: Box, subscription: stripe.Subscription) -> stripe.SubscriptionSchedule:
    return box.v1.subscription_schedules.create({"from_subscription": subscription.id})


def plan(
    box: Box, schedule: stripe.SubscriptionSchedule, *prices: str, **phase: Any
) -> stripe.SubscriptionSchedule:
    """The running phase as it is, then one phase for each price."""
    running = schedule.phases[0]
    kept: Any = [{"price": entry.price, "quantity": entry.quantity} for entry in running["items"]]
    phases: list[Any] = [
        {"items": kept, "start_date": running.start_date, "end_date": running.end_date},
        *({"items": [{"price": price}], **phase} for price in prices),
    ]
    return box.v1.subscription_schedules.update(schedule.id, {"phases": phases})


def amounts(box: Box, subscription: str) -> list[int]:
    return [invoice.total for invoice in box.invoices(subscription)]


def period(box: Box, subscription: str) -> tuple[int, int]:
    row = box.subscription(subscription)["items"].data[0]
    return row.current_period_start, row.current_period_end


def test_a_downgrade_waits_for_the_end_of_the_period(box: Box) -> None:
    subscription = box.subscribe(amount=4900)
    smaller = box.price(1900, name="Small")
    schedule = begin(box, subscription)
    end = period(box, subscription.id)[1]
    assert (schedule.status, schedule.end_behavior) == ("active", "release")
    assert schedule.phases[0].end_date == end
    assert box.subscription(subscription.id).schedule == schedule.id

    planned = plan(box, schedule, smaller.id)
    assert [phase.start_date for phase in planned.phases][1] == end
    assert box.v1.invoices.create_preview({"subscription": subscription.id}).total == 1900
    assert box.subscription(subscription.id)["items"].data[0].price.unit_amount == 4900

    box.wait_until(end)
    renewed = box.subscription(subscription.id)
    [row] = renewed["items"].data
    assert (row.price.id, row.current_period_start) == (smaller.id, end)
    box.wait(HOUR)
    assert amounts(box, subscription.id) == [4900, 1900]
    assert box.v1.invoice_items.list().data == []

    box.wait_until(period(box, subscription.id)[1] + HOUR)
    done = box.v1.subscription_schedules.retrieve(schedule.id)
    assert (done.status, done.subscription) == ("released", None)
    assert done.released_subscription == subscription.id
    assert box.subscription(subscription.id).schedule is None
    assert amounts(box, subscription.id) == [4900, 1900, 1900]
    kinds = [kind for kind in box.event_types() if kind.startswith("subscription_schedule.")]
    assert (kinds[0], kinds[-1]) == (
        "subscription_schedule.created",
        "subscription_schedule.released",
    )


def test_from_year_to_month_the_month_begins_where_the_year_ends(box: Box) -> None:
    customer = box.customer()
    yearly, monthly = box.price(49_000, recurring=YEAR), box.price(4900)
    params: Any = {"customer": customer.id, "items": [{"price": yearly.id}]}
    subscription = box.v1.subscriptions.create(params)
    plan(box, begin(box, subscription), monthly.id)
    end = period(box, subscription.id)[1]
    box.wait_until(end + HOUR)
    start, following = period(box, subscription.id)
    assert start == end
    assert 27 * DAY < following - start < 32 * DAY
    assert amounts(box, subscription.id) == [49_000, 4900]
    assert box.subscription(subscription.id).billing_cycle_anchor == end


def test_from_month_to_year(box: Box) -> None:
    subscription = box.subscribe(amount=4900)
    plan(box, begin(box, subscription), box.price(49_000, recurring=YEAR).id)
    end = period(box, subscription.id)[1]
    box.wait_until(end + HOUR)
    start, following = period(box, subscription.id)
    years = datetime.fromtimestamp(following, UTC).year - datetime.fromtimestamp(start, UTC).year
    assert (start, years) == (end, 1)
    assert amounts(box, subscription.id) == [4900, 49_000]


def test_a_phase_within_a_period_is_prorated(box: Box) -> None:
    subscription = box.subscribe(amount=1000)
    start, end = period(box, subscription.id)
    schedule = begin(box, subscription)
    dearer = box.price(2000, name="Growth").id
    running: Any = [{"price": schedule.phases[0]["items"][0].price}]
    middle = (start + end) // 2
    phases: Any = [
        {"items": running, "end_date": middle},
        {"items": [{"price": dearer}], "proration_behavior": "always_invoice", "end_date": end},
    ]
    box.v1.subscription_schedules.update(schedule.id, {"phases": phases})
    box.wait_until(middle)
    assert amounts(box, subscription.id) == [1000, 500]
    box.wait_until(end + HOUR)
    assert amounts(box, subscription.id) == [1000, 500, 2000]


def test_a_discount_stays_only_when_the_phase_names_it(box: Box) -> None:
    off = box.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    made = [box.subscribe(amount=4000, discounts=[{"coupon": off.id}]) for _ in range(2)]
    smaller = box.price(1000).id
    for subscription, kept in zip(made, (True, False), strict=True):
        naming: Any = [{"discount": str(subscription.discounts[0])}] if kept else []
        plan(box, begin(box, subscription), smaller, discounts=naming)
    box.wait_until(period(box, made[1].id)[1] + HOUR)
    assert [amounts(box, found.id)[-1] for found in made] == [500, 1000]


def test_a_change_of_mind_releases(box: Box) -> None:
    subscription = box.subscribe(amount=4900)
    schedule = begin(box, subscription)
    plan(box, schedule, box.price(1900).id)
    assert box.v1.subscription_schedules.release(schedule.id).status == "released"
    with pytest.raises(stripe.InvalidRequestError, match="it is released"):
        box.v1.subscription_schedules.release(schedule.id)
    box.wait_until(period(box, subscription.id)[1] + HOUR)
    assert amounts(box, subscription.id) == [4900, 4900]


def test_while_it_is_scheduled(box: Box) -> None:
    subscription = box.subscribe(amount=1000)
    schedule = begin(box, subscription)
    with pytest.raises(stripe.InvalidRequestError, match="already attached to a schedule"):
        begin(box, subscription)
    with pytest.raises(stripe.InvalidRequestError, match="managed by the subscription schedule"):
        box.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    halfway(box, subscription)
    box.v1.subscriptions.update(
        subscription.id, {"items": [{"id": item(subscription), "quantity": 2}]}
    )
    found = box.v1.subscription_schedules.retrieve(schedule.id)
    assert found.phases[0]["items"][0].quantity == 2
    listed = box.v1.subscription_schedules.list({"customer": str(subscription.customer)})
    assert [entry.id for entry in listed.data] == [schedule.id]


def test_it_ends_with_its_subscription(box: Box) -> None:
    one, other = box.subscribe(), box.subscribe()
    first, second = begin(box, one), begin(box, other)
    box.v1.subscriptions.cancel(one.id)
    assert box.v1.subscription_schedules.retrieve(first.id).status == "canceled"
    assert box.v1.subscription_schedules.cancel(second.id).status == "canceled"
    assert box.subscription(other.id).status == "canceled"
    box.wait(40 * DAY)
    assert len(box.v1.invoices.list({"status": "draft"}).data) == 0


def test_a_price_that_is_archived_meanwhile_still_comes(box: Box) -> None:
    subscription = box.subscribe(amount=4900)
    smaller = box.price(1900)
    plan(box, begin(box, subscription), smaller.id)
    box.v1.prices.update(smaller.id, {"active": False})
    box.wait_until(period(box, subscription.id)[1] + HOUR)
    assert amounts(box, subscription.id) == [4900, 1900]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"start_date": 5}, "A phase must start at"),
        ({"end_date": 5}, "must end after its start"),
        ({"trial": True}, "does not do `trial`"),
    ],
)
def test_phases_must_follow_each_other(box: Box, change: dict[str, Any], says: str) -> None:
    subscription = box.subscribe(amount=4900)
    schedule = begin(box, subscription)
    with pytest.raises(stripe.InvalidRequestError, match=says):
        plan(box, schedule, box.price(1900).id, **change)
    assert len(box.v1.subscription_schedules.retrieve(schedule.id).phases) == 1
