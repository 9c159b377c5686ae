"""Coupons and promotion codes of a phase: good when planned, redeemed when it begins."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.box import Box
from tests.sandbox.stripe.test_stripe_discounts import code, coupon
from tests.sandbox.stripe.test_stripe_schedules import HOUR, amounts, begin, period, plan


def test_a_code_is_redeemed_when_its_phase_begins(box: Box) -> None:
    subscription = box.subscribe(amount=4000)
    spring = code(box, coupon(box, percent_off=50, duration="once"))
    naming: Any = [{"promotion_code": spring.id}]
    planned = plan(box, begin(box, subscription), box.price(1000).id, discounts=naming)
    assert planned.phases[1].discounts[0].promotion_code == spring.id
    assert box.v1.promotion_codes.retrieve(spring.id).times_redeemed == 0
    assert box.v1.invoices.create_preview({"subscription": subscription.id}).total == 500
    box.wait_until(period(box, subscription.id)[1] + HOUR)
    assert box.v1.promotion_codes.retrieve(spring.id).times_redeemed == 1
    box.wait_until(period(box, subscription.id)[1] + HOUR)
    assert amounts(box, subscription.id) == [4000, 500, 1000]


def test_a_coupon_stays_after_its_phase(box: Box) -> None:
    subscription = box.subscribe(amount=4000)
    naming: Any = [{"coupon": coupon(box, percent_off=50).id}]
    plan(box, begin(box, subscription), box.price(1000).id, discounts=naming)
    for _ in range(2):
        box.wait_until(period(box, subscription.id)[1] + HOUR)
    assert amounts(box, subscription.id) == [4000, 500, 500]


def test_a_code_that_is_switched_off_before_its_phase_takes_nothing_off(box: Box) -> None:
    subscription = box.subscribe(amount=4000)
    spring = code(box, coupon(box, percent_off=50))
    naming: Any = [{"promotion_code": spring.id}]
    plan(box, begin(box, subscription), box.price(1000).id, discounts=naming)
    box.v1.promotion_codes.update(spring.id, {"active": False})
    box.wait_until(period(box, subscription.id)[1] + HOUR)
    assert amounts(box, subscription.id) == [4000, 1000]


def test_a_coupon_of_the_running_phase_holds_at_once(box: Box) -> None:
    subscription = box.subscribe(amount=4000)
    schedule = begin(box, subscription)
    running = schedule.phases[0]
    phase: Any = {
        "items": [{"price": running["items"][0].price}],
        "start_date": running.start_date,
        "end_date": running.end_date,
        "discounts": [{"coupon": coupon(box, percent_off=50).id}],
    }
    box.v1.subscription_schedules.update(schedule.id, {"phases": [phase]})
    assert len(box.subscription(subscription.id).discounts) == 1


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"active": False}, "it is not active"),
        ({"restrictions": {"first_time_transaction": True}}, "has prior transactions"),
        (
            {"restrictions": {"minimum_amount": 2000, "minimum_amount_currency": "usd"}},
            "the amount is below",
        ),
    ],
)
def test_a_code_that_is_not_good_is_refused_when_it_is_planned(
    box: Box, limits: dict[str, Any], says: str
) -> None:
    subscription = box.subscribe(amount=4000)
    schedule = begin(box, subscription)
    spring = code(box, coupon(box, percent_off=50), **limits)
    naming: Any = [{"promotion_code": spring.id}]
    with pytest.raises(stripe.InvalidRequestError, match=says):
        plan(box, schedule, box.price(1000).id, discounts=naming)
    foreign: Any = [{"coupon": coupon(box, amount_off=100, currency="eur").id}]
    with pytest.raises(stripe.InvalidRequestError, match="takes off eur, not usd"):
        plan(box, schedule, box.price(1000).id, discounts=foreign)
    assert len(box.v1.subscription_schedules.retrieve(schedule.id).phases) == 1
