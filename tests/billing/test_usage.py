"""Usage: every byte reported once, in its period, whatever Stripe or a worker does."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from billing import checkout, operations, renewals, usage
from billing.models import StripeOperation, Usage, UsageBatch
from saas.errors import Bug
from saas.tenancy import everyone, scope
from tests.billing.conftest import Stripe, pass_days
from tests.factories import make_brand

pytestmark = pytest.mark.usefixtures("catalog", "patient")
GB = 10**9


@pytest.fixture
def metered(brand: Any, owner: Any, stripe: Stripe) -> Any:
    url = checkout.start(brand=brand, plan="vpn_metered", currency="usd", actor=owner)
    assert stripe.pay(url).status_code == 303
    stripe.deliver()
    return brand


def report(brand: Any, quantity: int, key: str, at: Any = None) -> bool:
    with scope(brand):
        return usage.report(brand.pk, quantity, key, at)


def units_there(stripe: Stripe, brand: Any) -> int:
    """What Stripe's meter holds for the brand."""
    [meter] = stripe.objects("billing/meters")
    [subscription] = stripe.objects("subscriptions")
    now = int(timezone.now().timestamp()) // 60 * 60
    window = {"customer": subscription["customer"], "start_time": now - 40 * 86_400}
    found = stripe.objects(
        f"billing/meters/{meter['id']}/event_summaries", **window, end_time=now + 600
    )
    return sum(int(one["aggregated_value"]) for one in found)


def upcoming(brand: Any) -> Any:
    with scope(brand):
        return usage.upcoming(brand.pk)


def test_a_key_counts_once(metered: Any, stripe: Stripe) -> None:
    assert [report(metered, 3 * GB, "node1:42"), report(metered, 3 * GB, "node1:42")] == [
        True,
        False,
    ]
    assert [usage.sweep(), usage.sweep()] == [1, 0]
    assert units_there(stripe, metered) == 3


def test_a_report_needs_the_brands_scope(metered: Any) -> None:
    with pytest.raises(Bug):
        usage.report(metered.pk, GB, "k")


def test_parts_of_a_unit_add_up_over_batches(metered: Any, stripe: Stripe) -> None:
    for number in range(7):
        report(metered, GB // 2, f"k{number}")
        usage.sweep()
    assert units_there(stripe, metered) == 3
    assert upcoming(metered).used == 3
    report(metered, GB // 2, "k7")
    assert upcoming(metered).used == 4  # what waits is shown too
    usage.sweep()
    assert units_there(stripe, metered) == 4


def test_what_is_over_the_allowance_is_billed_with_the_period(
    metered: Any, stripe: Stripe, time_machine: Any
) -> None:
    report(metered, 212 * GB, "k")
    usage.sweep()
    shown = upcoming(metered)
    assert (shown.used, shown.included, shown.cost.minor) == (212, 200, 12 * 6)
    pass_days(stripe, time_machine, 31.5)
    assert stripe.objects("invoices")[0]["total"] == 1_500 + 12 * 6
    assert upcoming(metered).used == 0


def test_late_usage_goes_to_the_next_period_with_a_note(
    metered: Any, stripe: Stripe, time_machine: Any
) -> None:
    before = timezone.now()
    pass_days(stripe, time_machine, 32)
    report(metered, 201 * GB, "late", at=before)
    usage.sweep()
    assert upcoming(metered).late
    pass_days(stripe, time_machine, 31)
    assert stripe.objects("invoices")[0]["total"] == 1_500 + 6


def test_one_batch_of_a_brand_is_on_its_way_at_a_time(metered: Any, stripe: Stripe) -> None:
    report(metered, 5 * GB, "a")
    with scope(metered):
        batch = usage.gather(metered.pk)
        assert batch is not None
        assert usage.gather(metered.pk) is None  # one at a time
    report(metered, 2 * GB, "b")
    assert usage.sweep() == 0  # the first one is on its way
    for operation in operations.due():
        operations.execute(operation)
    assert usage.sweep() == 1
    assert units_there(stripe, metered) == 7


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_counts_once(metered: Any, stripe: Stripe, when: str) -> None:
    fault = {"match": "POST /v1/billing/meter_events", "kind": "drop", "when": when, "times": 3}
    stripe.control("faults", fault)
    report(metered, 5 * GB, "a")
    usage.sweep()
    for _ in range(4):
        with everyone("a test"):
            StripeOperation.objects.filter(state="pending").update(next_attempt_at=timezone.now())
        for operation in operations.due():
            operations.execute(operation)
    assert units_there(stripe, metered) == 5
    with everyone("a test"):
        assert StripeOperation.objects.get(kind="meter.event").state == "done"


def test_a_plan_that_counts_nothing_keeps_what_is_reported(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    report(brand, GB, "k")
    assert usage.sweep() == 0
    with scope(brand):
        assert Usage.objects.get().batch is None
        assert not UsageBatch.objects.exists()
        assert usage.upcoming(brand.pk) is None


def test_brands_that_nothing_is_counted_for_are_not_in_the_way(
    metered: Any, stripe: Stripe
) -> None:
    for _ in range(3):
        other = make_brand()
        report(other, GB, "k")
    report(metered, 2 * GB, "k")
    assert usage.sweep(limit=1) == 1
    assert units_there(stripe, metered) == 2


def test_an_outage_beyond_all_attempts_only_delays(metered: Any, stripe: Stripe) -> None:
    report(metered, 5 * GB, "a")
    with scope(metered):
        usage.gather(metered.pk)
    with everyone("a test"):
        StripeOperation.objects.filter(kind="meter.event").update(state="stuck", attempts=15)
    report(metered, 2 * GB, "b")
    usage.sweep()
    for operation in operations.due():
        operations.execute(operation)
    usage.sweep()
    assert units_there(stripe, metered) == 7


def test_between_two_periods_usage_waits_for_the_news_of_the_next(
    metered: Any, stripe: Stripe, time_machine: Any
) -> None:
    """Sent now it would name a moment of a period that Stripe has invoiced, and never be billed."""
    before = timezone.now()
    pass_days(stripe, time_machine, 32, told=False)
    report(metered, 201 * GB, "late", at=before)
    assert usage.sweep() == 0
    assert units_there(stripe, metered) == 0
    renewals.sweep()
    assert usage.sweep() == 1
    pass_days(stripe, time_machine, 31)
    assert stripe.objects("invoices")[0]["total"] == 1_500 + 6
