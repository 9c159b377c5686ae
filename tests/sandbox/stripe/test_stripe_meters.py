"""Meters, their events, and what they come to at the period's end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from sandbox.stripe import tiers
from tests.sandbox.stripe.box import DAY, GOOD, MONTH, Box, shown

HOUR = 3600
GRADUATED: Any = [
    {"up_to": 100, "flat_amount": 1000, "unit_amount": 0},
    {"up_to": 1000, "unit_amount": 10},
    {"up_to": "inf", "unit_amount_decimal": "2.5"},
]


def meter(box: Box, formula: Any = "sum", name: str = "traffic") -> stripe.billing.Meter:
    return box.v1.billing.meters.create(
        {
            "display_name": "Traffic",
            "event_name": name,
            "default_aggregation": {"formula": formula},
        }
    )


def metered(box: Box, of: stripe.billing.Meter, **price: Any) -> stripe.Price:
    recurring = {**MONTH, "usage_type": "metered", "meter": of.id}
    return box.price(price.pop("amount", 5), recurring=recurring, name="Traffic", **price)


def tiered(box: Box, of: stripe.billing.Meter, steps: Any, mode: Any) -> stripe.Price:
    product = box.v1.products.create({"name": "Traffic"})
    return box.v1.prices.create(
        {
            "currency": "usd",
            "product": product.id,
            "recurring": {"interval": "month", "usage_type": "metered", "meter": of.id},
            "billing_scheme": "tiered",
            "tiers_mode": mode,
            "tiers": steps,
        }
    )


def use(box: Box, customer: str, value: object, **more: Any) -> stripe.billing.MeterEvent:
    payload = {"stripe_customer_id": customer, "value": str(value)}
    return box.v1.billing.meter_events.create(
        {"event_name": "traffic", "payload": payload, **more}  # type: ignore[typeddict-item]
    )


def subscribe(box: Box, *prices: stripe.Price) -> stripe.Subscription:
    items: Any = [{"price": price.id} for price in prices]
    return box.v1.subscriptions.create({"customer": box.customer().id, "items": items})


def end(box: Box, subscription: stripe.Subscription) -> int:
    row: Any = box.subscription(subscription.id)["items"].data[0]
    return int(row.current_period_end)


def totals(box: Box, subscription: str) -> list[int]:
    return [invoice.total for invoice in box.invoices(subscription)]


def test_a_month_is_paid_before_it_and_its_usage_after_it(box: Box) -> None:
    subscription = subscribe(box, box.price(4900), metered(box, meter(box)))
    assert totals(box, subscription.id) == [4900]
    assert [row.get("quantity") for row in subscription["items"].data] == [1, None]
    customer = str(subscription.customer)
    start = box.now
    use(box, customer, 30)
    use(box, customer, 12)
    use(box, box.customer().id, 500)
    preview = box.v1.invoices.create_preview({"subscription": subscription.id})
    assert preview.total == 4900 + 42 * 5

    turn = end(box, subscription)
    box.wait_until(turn + HOUR)
    renewal = box.invoices(subscription.id)[-1]
    assert (renewal.total, renewal.status) == (preview.total, "paid")
    [usage] = [line for line in renewal.lines.data if line.amount == 210]
    assert (usage.quantity, usage.period.end) == (42, turn)
    assert abs(usage.period.start - start) < 5

    box.wait_until(end(box, subscription) + HOUR)
    assert totals(box, subscription.id) == [4900, 5110, 4900]


def test_the_draft_hour_still_counts_and_then_no_more(box: Box) -> None:
    subscription = subscribe(box, metered(box, meter(box)))
    customer, turn = str(subscription.customer), end(box, subscription)
    use(box, customer, 10)
    box.wait_until(turn + HOUR - 60)
    use(box, customer, 1, timestamp=turn - 5)
    use(box, customer, 100)
    box.wait(60)
    assert totals(box, subscription.id) == [0, 55]
    use(box, customer, 1, timestamp=turn - 5)
    assert totals(box, subscription.id) == [0, 55]
    box.wait_until(end(box, subscription) + HOUR)
    assert totals(box, subscription.id) == [0, 55, 500]


def test_an_identifier_counts_once_a_day(box: Box) -> None:
    found = meter(box)
    customer = box.customer().id
    first = use(box, customer, 3, identifier="sess-1")
    assert (first.identifier, first.event_name) == ("sess-1", "traffic")
    with pytest.raises(stripe.InvalidRequestError, match="already exists with identifier sess-1"):
        use(box, customer, 3, identifier="sess-1")
    assert summed(box, found, customer) == 3
    box.wait(DAY + 1)
    use(box, customer, 3, identifier="sess-1")
    assert summed(box, found, customer) == 6


def summed(box: Box, of: stripe.billing.Meter, customer: str) -> float:
    now = box.now // 60 * 60 + 600
    rows = box.v1.billing.meters.event_summaries.list(
        of.id, {"customer": customer, "start_time": now - 40 * DAY, "end_time": now}
    ).data
    return sum(row.aggregated_value for row in rows)


@pytest.mark.parametrize(("offset", "taken"), [(-34, True), (-36, False), (0, True)])
def test_events_may_be_late(box: Box, offset: int, taken: bool) -> None:
    meter(box)
    customer, at = box.customer().id, box.now + offset * DAY
    if taken:
        assert use(box, customer, 1, timestamp=at).timestamp == at
        return
    with pytest.raises(stripe.InvalidRequestError, match="past 35 calendar days") as refusal:
        use(box, customer, 1, timestamp=at)
    assert refusal.value.param == "timestamp"


def test_events_may_be_early_by_five_minutes(box: Box) -> None:
    meter(box)
    customer = box.customer().id
    use(box, customer, 1, timestamp=box.now + 290)
    with pytest.raises(stripe.InvalidRequestError):
        use(box, customer, 1, timestamp=box.now + 320)


def test_an_event_must_say_what_and_whose(box: Box) -> None:
    customer = box.customer().id
    with pytest.raises(stripe.InvalidRequestError, match="No active meter"):
        use(box, customer, 1)
    found = meter(box)
    for payload in (
        {"value": "1"},
        {"stripe_customer_id": customer},
        {"stripe_customer_id": customer, "value": "many"},
        {"stripe_customer_id": "cus_none", "value": "1"},
    ):
        with pytest.raises(stripe.InvalidRequestError):
            box.v1.billing.meter_events.create({"event_name": "traffic", "payload": payload})
    box.v1.billing.meters.deactivate(found.id)
    with pytest.raises(stripe.InvalidRequestError, match="No active meter"):
        use(box, customer, 1)
    box.v1.billing.meters.reactivate(found.id)
    use(box, customer, 1)
    assert summed(box, found, customer) == 1


def test_an_event_can_be_taken_back_for_a_day(box: Box) -> None:
    found, customer = meter(box), box.customer().id
    use(box, customer, 5, identifier="wrong")
    use(box, customer, 2, identifier="old")
    cancel: Any = {"event_name": "traffic", "type": "cancel", "cancel": {"identifier": "wrong"}}
    done = box.v1.billing.meter_event_adjustments.create(cancel)
    assert done.status == "complete"
    assert summed(box, found, customer) == 2
    box.wait(DAY + 1)
    cancel["cancel"]["identifier"] = "old"
    with pytest.raises(stripe.InvalidRequestError):
        box.v1.billing.meter_event_adjustments.create(cancel)


@pytest.mark.parametrize(("formula", "expected"), [("sum", 9), ("count", 3), ("last", 4)])
def test_meters_sum_count_or_keep_the_last(box: Box, formula: str, expected: int) -> None:
    subscription = subscribe(box, metered(box, meter(box, formula), amount=100))
    for value in (2, 3, 4):
        use(box, str(subscription.customer), value)
    box.wait_until(end(box, subscription) + HOUR)
    assert totals(box, subscription.id) == [0, expected * 100]


def test_summaries_by_hour_are_aligned(box: Box) -> None:
    found, customer = meter(box), box.customer().id
    hour = box.now // HOUR * HOUR
    use(box, customer, 3, timestamp=hour - HOUR)
    use(box, customer, 4, timestamp=hour - 2 * HOUR)
    use(box, customer, 4, timestamp=hour - 2 * HOUR + 60)
    asked: Any = {
        "customer": customer,
        "start_time": hour - 4 * HOUR,
        "end_time": hour,
        "value_grouping_window": "hour",
    }
    rows = box.v1.billing.meters.event_summaries.list(found.id, asked).data
    assert [(row.start_time, row.aggregated_value) for row in rows] == [
        (hour - HOUR, 3),
        (hour - 2 * HOUR, 8),
    ]
    with pytest.raises(stripe.InvalidRequestError):
        box.v1.billing.meters.event_summaries.list(found.id, {**asked, "start_time": hour - 61})


@pytest.mark.parametrize(
    ("mode", "used", "expected"),
    [
        ("graduated", 0, 1000),
        ("graduated", 100, 1000),
        ("graduated", 101, 1010),
        ("graduated", 1000, 10_000),
        ("graduated", 1001, 10_003),
        ("volume", 100, 1000),
        ("volume", 101, 1010),
        ("volume", 1001, 2503),
    ],
)
def test_tiers(box: Box, mode: str, used: int, expected: int) -> None:
    price = tiered(box, meter(box), GRADUATED, mode)
    subscription = subscribe(box, price)
    if used:
        use(box, str(subscription.customer), used)
    assert box.v1.invoices.create_preview({"subscription": subscription.id}).total == expected
    box.wait_until(end(box, subscription) + HOUR)
    assert totals(box, subscription.id) == [0, expected]
    whole = box.v1.prices.retrieve(price.id, {"expand": ["tiers"]})
    assert whole.tiers is not None
    assert [tier.up_to for tier in whole.tiers] == [100, 1000, None]


def test_stripes_own_examples_of_tiers() -> None:
    """From the documentation of tiered pricing: $5, $4 and $3 up to 5, 10 and beyond."""
    steps = [{"up_to": 5, "unit_amount": 500}, {"up_to": 10, "unit_amount": 400}]
    steps.append({"up_to": "inf", "unit_amount": 300})  # type: ignore[dict-item]
    assert tiers.cost(Decimal(6), steps, "volume") == 2400
    assert tiers.cost(Decimal(6), steps, "graduated") == 2900
    assert tiers.cost(Decimal(20), steps, "graduated") == 7500
    assert tiers.cost(Decimal(20), steps, "volume") == 6000


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_more_usage_never_costs_less_in_graduated_tiers(one: int, other: int) -> None:
    low, high = sorted((one, other))
    below, above = (tiers.cost(Decimal(n), GRADUATED, "graduated") for n in (low, high))
    assert below <= above


def test_packages_round_up(box: Box) -> None:
    price = metered(
        box, meter(box), amount=700, transform_quantity={"divide_by": 1000, "round": "up"}
    )
    subscription = subscribe(box, price)
    use(box, str(subscription.customer), 1001)
    box.wait_until(end(box, subscription) + HOUR)
    assert totals(box, subscription.id) == [0, 1400]


def test_fractions_of_a_cent_are_rounded_once(box: Box) -> None:
    price = metered(box, meter(box), amount=None, unit_amount_decimal="0.15")
    subscription = subscribe(box, price)
    use(box, str(subscription.customer), "10.5")
    box.wait_until(end(box, subscription) + HOUR)
    renewal = box.invoices(subscription.id)[-1]
    assert renewal.total == 2
    [line] = renewal.lines.data
    assert str(line.quantity_decimal) == "10.5"
    assert "$0.0015 / month" in str(line.description)


def test_usage_until_a_change_of_price_costs_the_old_price(box: Box) -> None:
    of = meter(box)
    subscription = subscribe(box, metered(box, of, amount=5))
    customer = str(subscription.customer)
    use(box, customer, 10)
    box.wait(5 * DAY)
    row = subscription["items"].data[0].id
    cheaper = metered(box, of, amount=3)
    box.v1.subscriptions.update(subscription.id, {"items": [{"id": row, "price": cheaper.id}]})
    use(box, customer, 10)
    assert box.v1.invoices.create_preview({"subscription": subscription.id}).total == 80
    box.wait_until(end(box, subscription) + HOUR)
    assert totals(box, subscription.id) == [0, 80]


def test_a_subscription_that_ends_still_owes_its_usage(box: Box) -> None:
    subscription = subscribe(box, box.price(4900), metered(box, meter(box)))
    use(box, str(subscription.customer), 20)
    box.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    box.wait_until(end(box, subscription) + HOUR)
    assert box.subscription(subscription.id).status == "canceled"
    last = box.invoices(subscription.id)[-1]
    assert (last.total, last.status) == (100, "paid")


def test_a_trial_is_free_of_usage_too(box: Box) -> None:
    items: Any = [{"price": metered(box, meter(box)).id}]
    subscription = box.v1.subscriptions.create(
        {"customer": box.customer().id, "items": items, "trial_period_days": 7}
    )
    use(box, str(subscription.customer), 20)
    box.wait(7 * DAY + HOUR + 5)
    use(box, str(subscription.customer), 1)
    box.wait_until(end(box, subscription) + HOUR)
    assert totals(box, subscription.id) == [0, 0, 5]


def test_usage_can_be_bought_at_checkout(box: Box) -> None:
    price = metered(box, meter(box))
    lines: Any = [{"price": box.price(4900).id, "quantity": 1}, {"price": price.id}]
    session = box.checkout("", line_items=lines)
    assert "Traffic, by usage" in shown(box.http.get(str(session.url)))
    assert box.pay(session, GOOD).status_code == 303
    done = box.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]})
    assert isinstance(done.subscription, stripe.Subscription)
    assert len(done.subscription["items"].data) == 2
    assert done.amount_total == 4900


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"recurring": {"interval": "month", "usage_type": "metered"}}, "must have a `meter`"),
        ({"tiers": GRADUATED, "unit_amount": None}, "need `billing_scheme=tiered`"),
        (
            {
                "billing_scheme": "tiered",
                "tiers_mode": "volume",
                "tiers": GRADUATED[:2],
                "unit_amount": None,
            },
            "the last one to `inf`",
        ),
    ],
)
def test_what_a_price_needs(box: Box, change: dict[str, Any], says: str) -> None:
    params: Any = {
        "currency": "usd",
        "unit_amount": 5,
        "product": box.v1.products.create({"name": "Traffic"}).id,
        **change,
    }
    sent: Any = {name: value for name, value in params.items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError, match=says):
        box.v1.prices.create(sent)
