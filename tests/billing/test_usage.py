"""Usage: every byte is at Stripe once, in its period, whatever Stripe or a worker does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.utils import timezone

from billing import gateway, operations, renewals, usage
from billing.models import StripeOperation, Subscription, Usage, UsageBatch
from saas.errors import Bug
from saas.tenancy import everyone, scope
from tests.billing.conftest import Stripe, pass_days
from tests.factories import make_brand

pytestmark = pytest.mark.usefixtures("catalog", "patient")
GB = 10**9


def count(brand: Any, quantity: int, at: Any = None) -> None:
    with everyone("a test"):
        usage.count({brand.pk: quantity}, at or timezone.now())


def waiting(brand: Any) -> list[int]:
    with scope(brand):
        rows = Usage.objects.filter(batch=None).order_by("since")
        return list(rows.values_list("quantity", flat=True))


def units_there(stripe: Stripe, brand: Any) -> int:
    """What Stripe's meter holds for the brand."""
    [meter] = stripe.objects("billing/meters")
    [subscription] = stripe.objects("subscriptions", status="all")
    now = int(timezone.now().timestamp()) // 60 * 60
    window = {"customer": subscription["customer"], "start_time": now - 40 * 86_400}
    found = stripe.objects(
        f"billing/meters/{meter['id']}/event_summaries", **window, end_time=now + 600
    )
    return sum(int(one["aggregated_value"]) for one in found)


def upcoming(brand: Any) -> Any:
    with scope(brand):
        return usage.upcoming(brand.pk)


def test_what_is_counted_in_an_hour_is_one_row_and_one_event(
    metered: Any, stripe: Stripe, time_machine: Any
) -> None:
    pass_days(stripe, time_machine, (70 - timezone.now().minute) % 60 / 1440)  # ten past
    for _ in range(6):
        count(metered, GB // 2)
    assert waiting(metered) == [3 * GB]
    assert usage.sweep() == 0  # the hour isn't over
    pass_days(stripe, time_machine, 1 / 24)
    count(metered, GB)
    assert waiting(metered) == [3 * GB, GB]
    assert [usage.sweep(), usage.sweep()] == [1, 0]
    assert units_there(stripe, metered) == 4


def test_a_period_that_is_about_to_end_is_reported_at_every_sweep(
    metered: Any, stripe: Stripe, time_machine: Any
) -> None:
    with scope(metered):
        ends = Subscription.objects.get().current_period_end
    pass_days(stripe, time_machine, (ends - timezone.now()).total_seconds() / 86_400 - 0.008)
    for _ in range(3):
        count(metered, 67 * GB)
        assert usage.sweep() == 1
    pass_days(stripe, time_machine, 0.1)
    assert stripe.objects("invoices")[0]["total"] == 1_500 + 6


def test_an_hour_in_which_a_period_ends_has_a_row_of_each(
    metered: Any, stripe: Stripe, time_machine: Any
) -> None:
    with scope(metered):
        ends = Subscription.objects.get().current_period_end
    for minutes in (-1, 0, 1):
        count(metered, GB, ends + timedelta(minutes=minutes))
    assert waiting(metered) == [GB, 2 * GB]


def test_counting_needs_the_transaction_that_learned_of_it(metered: Any) -> None:
    with pytest.raises(Bug):
        usage.count({metered.pk: GB}, timezone.now())


def test_parts_of_a_unit_add_up_over_batches(metered: Any, stripe: Stripe) -> None:
    for _ in range(7):
        count(metered, GB // 2)
        usage.flush(metered.pk)
    assert units_there(stripe, metered) == 3
    assert upcoming(metered).used == 3
    count(metered, GB // 2)
    assert upcoming(metered).used == 4  # what waits is shown too
    usage.flush(metered.pk)
    assert units_there(stripe, metered) == 4


def test_what_is_over_the_allowance_is_billed_with_the_period(
    metered: Any, stripe: Stripe, time_machine: Any
) -> None:
    count(metered, 212 * GB)
    usage.flush(metered.pk)
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
    count(metered, 201 * GB, at=before)
    usage.flush(metered.pk)
    assert upcoming(metered).late
    pass_days(stripe, time_machine, 31)
    assert stripe.objects("invoices")[0]["total"] == 1_500 + 6


def test_one_batch_of_a_brand_is_on_its_way_at_a_time(metered: Any, stripe: Stripe) -> None:
    count(metered, 5 * GB)
    with scope(metered):
        batch = usage.gather(metered.pk)
        assert batch is not None
        assert usage.gather(metered.pk) is None  # one at a time
    count(metered, 2 * GB)
    assert not usage.flush(metered.pk)  # the first one is on its way
    for operation in operations.due():
        operations.execute(operation)
    assert usage.flush(metered.pk)
    assert units_there(stripe, metered) == 7


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_counts_once(metered: Any, stripe: Stripe, when: str) -> None:
    fault = {"match": "POST /v1/billing/meter_events", "kind": "drop", "when": when, "times": 3}
    stripe.control("faults", fault)
    count(metered, 5 * GB)
    usage.flush(metered.pk)
    for _ in range(4):
        with everyone("a test"):
            StripeOperation.objects.filter(state="pending").update(next_attempt_at=timezone.now())
        for operation in operations.due():
            operations.execute(operation)
    assert units_there(stripe, metered) == 5
    with everyone("a test"):
        assert StripeOperation.objects.get(kind="meter.event").state == "done"


def test_nothing_waits_for_a_brand_on_no_metered_plan(
    metered: Any, stripe: Stripe, time_machine: Any
) -> None:
    others = [make_brand() for _ in range(3)]
    with everyone("a test"):
        usage.count({one.pk: 7 * GB for one in (*others, metered)}, timezone.now())
        assert list(Usage.objects.values_list("brand_id", flat=True)) == [metered.pk]
    pass_days(stripe, time_machine, 1 / 24)
    assert usage.sweep(limit=1) == 1
    assert units_there(stripe, metered) == 7
    assert upcoming(others[0]) is None


def test_what_waits_when_a_metered_plan_ends_is_written_off(metered: Any, stripe: Stripe) -> None:
    count(metered, 5 * GB)
    [subscription] = stripe.objects("subscriptions")
    gateway.write("delete", f"/v1/subscriptions/{subscription['id']}", {}, key="a test")
    stripe.deliver()
    assert [usage.sweep(), usage.sweep()] == [0, 0]
    assert waiting(metered) == []
    [entry] = LogEntry.objects.filter(additional_data__event="usage.written_off")
    assert entry.changes == {"quantity": [5 * GB, 0]}
    assert units_there(stripe, metered) == 0


REFUSAL = {"match": "POST /v1/billing/meter_events", "kind": "status", "status": 400, "times": 1}


def test_a_refused_event_s_units_go_with_the_next(metered: Any, stripe: Stripe) -> None:
    count(metered, 3 * GB // 2)
    usage.flush(metered.pk)  # a rest of half a unit
    count(metered, 5 * GB)
    stripe.control("faults", REFUSAL)
    assert usage.flush(metered.pk)
    assert units_there(stripe, metered) == 1
    assert upcoming(metered).used == 6  # still shown
    assert waiting(metered) == [5 * GB]
    count(metered, GB // 2)
    assert waiting(metered) == [5 * GB + GB // 2]  # of the same hour
    usage.flush(metered.pk)
    assert units_there(stripe, metered) == 7
    with everyone("a test"):
        states = StripeOperation.objects.filter(kind="meter.event").order_by("created_at")
        assert list(states.values_list("state", flat=True)) == ["done", "failed", "done"]
        assert list(UsageBatch.objects.order_by("pk").values_list("units", "rest")) == [
            (1, GB // 2),
            (0, GB // 2),
            (6, 0),
        ]


def test_an_event_that_is_there_already_is_no_refusal(metered: Any, stripe: Stripe) -> None:
    """Its key was forgotten and Stripe's sums lag: sent again, the identifier is known."""
    count(metered, 5 * GB)
    with scope(metered):
        batch = usage.gather(metered.pk)
    assert batch is not None
    assert batch.operation is not None
    gateway.write("post", "/v1/billing/meter_events", batch.operation.params, key="another key")
    assert operations.execute(batch.operation).state == "done"
    assert waiting(metered) == []
    assert units_there(stripe, metered) == 5


def test_an_outage_beyond_all_attempts_only_delays(metered: Any, stripe: Stripe) -> None:
    count(metered, 5 * GB)
    with scope(metered):
        usage.gather(metered.pk)
    with everyone("a test"):
        StripeOperation.objects.filter(kind="meter.event").update(state="stuck", attempts=15)
    count(metered, 2 * GB)
    usage.sweep()
    for operation in operations.due():
        operations.execute(operation)
    usage.flush(metered.pk)
    assert units_there(stripe, metered) == 7


def test_between_two_periods_usage_waits_for_the_news_of_the_next(
    metered: Any, stripe: Stripe, time_machine: Any
) -> None:
    """Sent now it would name a moment of a period that Stripe has invoiced, and never be billed."""
    before = timezone.now()
    pass_days(stripe, time_machine, 32, told=False)
    count(metered, 201 * GB, at=before)
    assert not usage.flush(metered.pk)
    assert units_there(stripe, metered) == 0
    renewals.sweep()
    assert usage.flush(metered.pk)
    pass_days(stripe, time_machine, 31)
    assert stripe.objects("invoices")[0]["total"] == 1_500 + 6
