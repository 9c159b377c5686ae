"""Usage whose event an outage holds back until its period is over: billed once, with a note."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing import gateway, operations, usage
from billing.models import StripeOperation, Subscription
from saas.tenancy import everyone, scope
from tests.billing.conftest import Stripe, pass_days
from tests.billing.test_usage import GB, count, units_there, upcoming, waiting

pytestmark = pytest.mark.usefixtures("catalog", "patient")
EVENTS = "POST /v1/billing/meter_events"
DOWN = {"match": EVENTS, "kind": "status", "status": 503}
LOST = {"match": EVENTS, "kind": "drop", "when": "after", "times": 1}
NOTE = "used before this period and reported after its invoice"


def until_the_end(brand: Any, stripe: Stripe, time_machine: Any, **before: float) -> None:
    with scope(brand):
        ends = Subscription.objects.get().current_period_end
    left = ends - timezone.now() - timedelta(**before)
    pass_days(stripe, time_machine, left / timedelta(days=1))


def go_on() -> tuple[str, str]:
    """Let the operations that wait go on; return the state and code of the newest event."""
    with everyone("a test"):
        StripeOperation.objects.filter(state="pending").update(next_attempt_at=timezone.now())
    for operation in operations.due():
        operations.execute(operation)
    with everyone("a test"):
        event = StripeOperation.objects.filter(kind="meter.event").latest("created_at")
    return event.state, event.error_code


def billed(stripe: Stripe) -> list[int]:
    return [invoice["total"] for invoice in stripe.objects("invoices")]


def test_an_outage_over_a_period_s_end_moves_the_usage_to_the_next(
    metered: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    until_the_end(metered, stripe, time_machine, minutes=30)
    count(metered, 301 * GB + GB // 2)
    stripe.control("faults", DOWN)
    usage.flush(metered.pk)
    pass_days(stripe, time_machine, 3 / 24)
    assert upcoming(metered).used == 0
    stripe.control("faults", method="DELETE")
    assert go_on() == ("failed", "too_late")
    assert [usage.sweep(), usage.sweep()] == [1, 0]
    assert waiting(metered) == []
    assert units_there(stripe, metered) == 301
    assert (upcoming(metered).used, upcoming(metered).late) == (301, True)
    reader = Client()
    reader.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    assert NOTE in reader.get(f"/b/{metered.slug}/billing/").content.decode()
    pass_days(stripe, time_machine, 32)
    assert billed(stripe) == [1_500 + 101 * 6, 1_500, 1_500]


def test_one_that_arrived_with_its_answer_lost_is_billed_once(
    metered: Any, stripe: Stripe, time_machine: Any
) -> None:
    until_the_end(metered, stripe, time_machine, minutes=30)
    count(metered, 301 * GB)
    stripe.control("faults", LOST)
    usage.flush(metered.pk)
    pass_days(stripe, time_machine, 3 / 24)
    assert go_on() == ("done", "")
    assert usage.sweep() == 0
    assert units_there(stripe, metered) == 301
    pass_days(stripe, time_machine, 32)
    assert billed(stripe) == [1_500, 1_500 + 101 * 6, 1_500]


@pytest.mark.parametrize("told", [True, False])
def test_it_waits_for_the_news_of_the_period_and_for_stripe_s_sums(
    metered: Any, stripe: Stripe, time_machine: Any, told: bool
) -> None:
    """Sums may lag behind what was sent right before the end: too soon, they would say less."""
    until_the_end(metered, stripe, time_machine, minutes=5)
    count(metered, 5 * GB)
    stripe.control("faults", DOWN | {"times": 1})
    usage.sweep()
    pass_days(stripe, time_machine, 0.5 / 24, told=told)
    assert go_on() == ("pending", "")
    assert usage.sweep() == 0
    assert units_there(stripe, metered) == 0


def test_when_the_metered_plan_is_gone_it_is_written_off(metered: Any, stripe: Stripe) -> None:
    """No invoice would ever hold it."""
    count(metered, 5 * GB)
    stripe.control("faults", DOWN | {"times": 1})
    usage.flush(metered.pk)
    [subscription] = stripe.objects("subscriptions")
    gateway.write("delete", f"/v1/subscriptions/{subscription['id']}", {}, key="a test")
    stripe.deliver()
    assert go_on() == ("failed", "too_late")
    usage.sweep()
    assert waiting(metered) == []
    assert units_there(stripe, metered) == 0
