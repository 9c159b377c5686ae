"""Planned changes that are refused, finished late, or overtaken by a cancellation."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.models import User
from billing import changes, gateway, operations, schedules, standing, subscriptions
from billing.models import PromotionCode, StripeOperation, Subscription
from saas.tenancy import everyone, scope
from tests.billing.conftest import Stripe, end_outage, open_null, pass_days
from tests.billing.test_change_of_mind import in_threads, wait_for
from tests.billing.test_changes import plan_of, subscribe
from tests.billing.test_promotions import make, staff  # noqa: F401 - a fixture
from tests.factories import make_brand, make_user

pytestmark = pytest.mark.usefixtures("patient")
PHASES = "POST /v1/subscription_schedules/*"


@pytest.fixture
def subscribed(catalog: None, brand: Any, owner: Any, stripe: Stripe) -> Any:
    return subscribe(brand, owner, stripe)


@pytest.fixture
def client(subscribed: Any, owner: Any, client_for: Any) -> Client:
    found: Client = client_for(owner)
    return found


def smaller(brand: Any, code: str = "") -> Any:
    return changes.preview(
        brand=brand, plan="leads_starter", interval="month", seats=None, code=code
    )


def ask(client: Client, brand: Any, what: str, **fields: str) -> str:
    answer = client.post(f"/b/{brand.slug}/billing/{what}/", fields, follow=True)
    return " ".join(str(message) for message in answer.context["messages"])


def fail(stripe: Stripe, match: str, **fault: Any) -> None:
    stripe.control("faults", {"kind": "status", "status": 503, "match": match, **fault})


def at_stripe(stripe: Stripe) -> tuple[bool, bool]:
    """Whether the subscription ends, and whether it has a schedule."""
    [found] = stripe.objects("subscriptions", status="all")
    return bool(found["cancel_at_period_end"]), bool(found["schedule"])


def states(kind: str) -> list[str]:
    with everyone("test"):
        return [row.state for row in StripeOperation.objects.filter(kind=kind)]


def row_of(brand: Any) -> Subscription:
    with scope(brand):
        return Subscription.objects.get()


def test_a_code_is_redeemed_when_the_planned_change_begins(
    staff: User,  # noqa: F811
    subscribed: Any,
    owner: Any,
    stripe: Stripe,
    time_machine: Any,
) -> None:
    make(staff, duration="forever")
    shown = smaller(subscribed, "SPRING20")
    assert changes.change(brand=subscribed, promise=shown.promise, actor=owner) == "planned"
    assert stripe.objects("promotion_codes")[0]["times_redeemed"] == 0
    pass_days(stripe, time_machine, 31.5)
    assert plan_of(subscribed)[0] == "leads_starter"
    assert stripe.objects("invoices")[0]["total"] == shown.following.minor == 3_920
    assert PromotionCode.objects.get().times_redeemed == 1


def test_phases_that_stripe_refuses_leave_the_customer_where_they_stood(
    client: Client, subscribed: Any, stripe: Stripe, time_machine: Any
) -> None:
    shown = smaller(subscribed)
    fail(stripe, PHASES, status=400, times=1)
    said = ask(client, subscribed, "change/apply", promise=shown.promise)
    assert said == "Stripe can't plan the change like this. Your plan stays as it is."
    assert at_stripe(stripe) == (False, False)
    assert states("schedule.release") == ["done"]
    pass_days(stripe, time_machine, 0.001)
    again = smaller(subscribed)
    said = ask(client, subscribed, "change/apply", promise=again.promise)
    assert said == "Your plan changes at the end of the period."
    ask(client, subscribed, "change/keep")
    assert ask(client, subscribed, "cancel").startswith("Your plan ends")


def test_a_code_that_is_switched_off_meanwhile_is_named(
    staff: User,  # noqa: F811
    client: Client,
    subscribed: Any,
    stripe: Stripe,
) -> None:
    code = make(staff, duration="forever")
    shown = smaller(subscribed, "SPRING20")
    gateway.write("post", f"/v1/promotion_codes/{code.stripe_id}", {"active": False}, key="off")
    said = ask(client, subscribed, "change/apply", promise=shown.promise)
    assert "with this promotion code. Your plan stays as it is." in said
    assert at_stripe(stripe) == (False, False)


def test_an_empty_schedule_is_released_by_the_sweep_when_stripe_is_away(
    client: Client, subscribed: Any, stripe: Stripe
) -> None:
    shown = smaller(subscribed)
    fail(stripe, "POST /v1/subscription_schedules/*/release")
    fail(stripe, PHASES, status=400, times=1)
    said = ask(client, subscribed, "change/apply", promise=shown.promise)
    assert "Your plan stays as it is." in said
    assert at_stripe(stripe) == (False, True)
    end_outage(stripe)
    assert at_stripe(stripe) == (False, False)


def test_a_planned_change_that_the_sweep_finishes_is_shown(
    client: Client, subscribed: Any, stripe: Stripe
) -> None:
    shown = smaller(subscribed)
    fail(stripe, PHASES)
    said = ask(client, subscribed, "change/apply", promise=shown.promise)
    assert "Your change is kept" in said
    stripe.deliver()
    end_outage(stripe)
    row = row_of(subscribed)
    assert row.schedule
    assert row.next_plan == "leads_starter"
    assert "Take it back, then cancel" in ask(client, subscribed, "cancel")
    with scope(subscribed):
        operation = schedules.begin_release(row.stripe_id, row.schedule)
    operations.run(operation)
    assert "subscription_schedule.released" in stripe.deliver()
    assert row_of(subscribed).schedule == ""


def test_the_task_shows_a_planned_change_whose_events_are_late(
    client: Client, subscribed: Any, stripe: Stripe, monkeypatch: Any
) -> None:
    woken: list[tuple[str, ...]] = []
    monkeypatch.setattr(schedules, "wake", lambda *task: woken.append(task))
    shown = smaller(subscribed)
    ask(client, subscribed, "change/apply", promise=shown.promise)
    assert woken == [("billing.subscriptions.refresh", row_of(subscribed).stripe_id)]


def test_a_cancellation_before_a_planned_change_is_heard_of_says_what_to_do(
    client: Client, subscribed: Any, stripe: Stripe
) -> None:
    shown = smaller(subscribed)
    fail(stripe, "GET /v1/subscriptions/*")  # it can't be shown at once
    ask(client, subscribed, "change/apply", promise=shown.promise)
    stripe.control("faults", method="DELETE")
    assert row_of(subscribed).schedule == ""
    assert "Take it back, then cancel" in ask(client, subscribed, "cancel")
    assert row_of(subscribed).schedule


@pytest.mark.parametrize("lost", ["POST *", PHASES])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cancellation_takes_back_a_planned_change_on_its_way(
    lost: str, when: str, client: Client, subscribed: Any, stripe: Stripe
) -> None:
    """Whether or not Stripe made the schedule, or its phases, before the answer was lost."""
    shown = smaller(subscribed)
    fail(stripe, lost, when=when)
    assert "Your change is kept" in ask(client, subscribed, "change/apply", promise=shown.promise)
    assert "Your cancellation is kept" in ask(client, subscribed, "cancel")
    with scope(subscribed):
        assert subscriptions.ends(Subscription.objects.get())
    end_outage(stripe)
    assert at_stripe(stripe) == (True, False)
    row = row_of(subscribed)
    assert (row.cancel_at_period_end, row.schedule) == (True, "")
    assert states("subscription.update") == ["done"]


def test_a_cancellation_finishes_at_once_what_it_takes_back(
    client: Client, subscribed: Any, stripe: Stripe
) -> None:
    shown = smaller(subscribed)
    fail(stripe, PHASES, times=1)
    ask(client, subscribed, "change/apply", promise=shown.promise)
    stripe.control("faults", method="DELETE")
    assert ask(client, subscribed, "cancel").startswith("Your plan ends")
    assert at_stripe(stripe) == (True, False)


def test_to_go_on_takes_back_the_cancellation_and_the_planned_change(
    client: Client, subscribed: Any, stripe: Stripe
) -> None:
    shown = smaller(subscribed)
    fail(stripe, "POST *")
    ask(client, subscribed, "change/apply", promise=shown.promise)
    ask(client, subscribed, "cancel")
    assert "Your plan is to go on" in ask(client, subscribed, "resume")
    end_outage(stripe)
    assert at_stripe(stripe) == (False, False)


def test_a_change_is_not_planned_while_a_cancellation_is_on_its_way(
    client: Client, subscribed: Any, stripe: Stripe
) -> None:
    shown = smaller(subscribed)
    fail(stripe, "POST *")
    ask(client, subscribed, "cancel")
    said = ask(client, subscribed, "change/apply", promise=shown.promise)
    assert said == "Your plan is about to end. Keep it first, then change it."
    ask(client, subscribed, "resume")
    said = ask(client, subscribed, "change/apply", promise=shown.promise)
    assert "Your wish to keep the plan is on its way to Stripe." in said
    end_outage(stripe)
    assert at_stripe(stripe) == (False, False)
    assert states("schedule.create") == []


def test_a_wish_that_is_written_while_the_phases_arrive_takes_them_back(
    live_db: Any, stripe: Stripe
) -> None:
    """The account's lock puts one after the other; else neither would know of the other."""
    call_command("sync_catalog", verbosity=0, stdout=open_null())
    owner = make_user()
    brand = subscribe(make_brand(owner=owner), owner, stripe)
    shown = smaller(brand)
    with scope(brand):
        row = Subscription.objects.get()
        made = schedules.begin(row, changes._agreed(shown.promise))
    operations.run(made)
    before = stripe.writes()
    with scope(brand):
        phases = StripeOperation.objects.get(kind="schedule.update")
        standing.locked(brand.pk)
        wish = subscriptions._begin(row, ending=True)
        [thread] = in_threads(lambda: operations.execute(phases))
        wait_for(lambda: stripe.writes() > before)
        thread.join(timeout=1)  # it waits for the account
    thread.join()
    assert operations.execute(wish).attempts == 0  # it follows the release
    end_outage(stripe)
    assert at_stripe(stripe) == (True, False)
