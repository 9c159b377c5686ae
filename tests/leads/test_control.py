"""Starting, pausing, cancelling, parking: nothing is lost or doubled, and the reason is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.utils import timezone

from billing import entitlements
from billing.models import BillingAccount
from leads import connections
from leads.backfill import control, engine, jobs, plan, sweep
from leads.ingest import leads
from leads.models import Backfill, CampaignLead, Connection, Lead
from saas import leases
from saas.errors import Refused
from saas.tenancy import everyone, scope
from tests.leads.conftest import Account
from tests.leads.factories import lead_row, make_campaign
from tests.leads.truth import assert_exact

Make = Callable[[str], Account]


def quota(account: Account, leads: int, **fields: Any) -> None:
    with scope(account.brand):
        BillingAccount.objects.update(lead_quota=leads, **fields)


def stride(account: Account) -> Backfill:
    engine.stride(account.brand.pk, account.run().pk)
    row: Backfill = account.run()
    return row


def test_the_plan_counts_and_prices_before_anything_is_fetched(account: Make) -> None:
    a = account("sl_plan_250_3_r0")
    before = a.counters()["allowed"]
    row = a.plan()
    assert a.counters()["allowed"] - before == 1 + 3
    assert (row.state, row.planned_campaigns, row.planned_leads) == ("planned", 3, 250)
    assert row.plan_is_exact
    assert a.count() == (0, 0, 0)


def test_a_plan_of_many_campaigns_asks_few_questions(account: Make) -> None:
    a = account("sl_many_600_60_r0")
    before = a.counters()["allowed"]
    row = a.plan()
    assert a.counters()["allowed"] - before <= 1 + plan.COUNTED
    assert (row.planned_campaigns, row.plan_is_exact) == (60, False)
    assert 400 < row.planned_leads < 900


def test_what_a_plan_costs() -> None:
    price = plan.cost([250, 0, 100], calls_per_minute=50)
    assert (price.lead_calls, price.message_calls) == (3 + 1, 350)
    assert (price.lead_seconds, price.message_seconds) == (5, 420)
    assert plan.cost([1000], calls_per_minute=60, fetched=10).message_calls == 10


def test_a_second_plan_replaces_the_first(account: Make) -> None:
    a = account("sl_twice_10_1_r0")
    a.plan()
    second = a.plan()
    with scope(a.brand):
        assert [row.pk for row in Backfill.objects.all()] == [second.pk]


def test_a_full_plan_takes_what_fits_fetches_its_messages_and_waits(account: Make) -> None:
    a = account("sl_full_40_1_r0")
    quota(a, 25)
    a.start()
    for _ in range(4):
        stride(a)
    row = a.run()
    assert (row.state, row.wait, row.due_at) == ("parked", "quota_exceeded", None)
    found, places, messages = a.count()
    assert (found, places) == (25, 25)
    assert messages > 0
    assert row.history_done == 25
    quota(a, 1000)
    assert sweep.resume_admitted() == 1
    a.drive()
    assert_exact(a)


def test_an_upgrade_resumes_by_itself(
    account: Make, django_capture_on_commit_callbacks: Any
) -> None:
    a = account("sl_grow_40_1_r0")
    quota(a, 0)
    a.start()
    stride(a)
    assert a.run().wait == "quota_exceeded"
    quota(a, 1000)
    with django_capture_on_commit_callbacks(execute=True):
        entitlements.changed(a.brand.pk)
    assert (a.run().state, a.run().wait) == ("running", "")
    a.drive()
    assert_exact(a)


def test_a_trial_that_ended_parks_at_once(account: Make) -> None:
    a = account("sl_over_40_1_r0")
    quota(a, 1000, trial_ends_at=timezone.now() - timedelta(seconds=1))
    a.start()
    row = stride(a)
    assert (row.state, row.wait, row.due_at) == ("parked", "trial_expired", None)
    assert a.count() == (0, 0, 0)


def test_paused_means_nothing_is_fetched_and_resume_loses_nothing(account: Make) -> None:
    a = account("sl_pause_40_2_r0")
    row = a.start()
    control.pause(brand_id=a.brand.pk, backfill_id=row.pk, actor=a.owner)
    calls = a.counters()["allowed"]
    stride(a)
    assert (a.counters()["allowed"], a.count()) == (calls, (0, 0, 0))
    with pytest.raises(Refused):
        control.pause(brand_id=a.brand.pk, backfill_id=row.pk, actor=a.owner)
    control.resume(brand_id=a.brand.pk, backfill_id=row.pk, actor=a.owner)
    a.drive()
    assert_exact(a)
    with everyone("test"):
        events = [e.additional_data["event"] for e in LogEntry.objects.order_by("pk")]
    assert [e for e in events if e.startswith("backfill.")] == [
        "backfill.planned",
        "backfill.started",
        "backfill.paused",
        "backfill.resumed",
        "backfill.finished",
    ]


def test_a_pause_while_calls_are_under_way_drops_them(
    account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = account("sl_midway_40_1_r0")
    row = a.start()
    fetch = engine.fetch_all

    def and_pause(*args: Any) -> Any:
        found = fetch(*args)
        control.pause(brand_id=a.brand.pk, backfill_id=row.pk, actor=a.owner)
        return found

    monkeypatch.setattr(engine, "fetch_all", and_pause)
    stride(a)
    after = a.run()
    assert (after.state, after.lease_token, a.count()) == ("paused", None, (0, 0, 0))


def test_cancelled_then_started_again_goes_on_where_it_stopped(
    account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = account("sl_cancel_30_1_r0")
    a.start()
    monkeypatch.setattr(engine, "BOX", 0.01)  # a handful of calls a stride
    while a.run().history_done < 5:
        stride(a)
    monkeypatch.undo()
    cancelled = control.cancel(brand_id=a.brand.pk, backfill_id=a.run().pk, actor=a.owner)
    fetched = cancelled.history_done
    a.start()
    again = a.drive()
    assert again.history_done == 30 - fetched
    assert_exact(a)


def test_a_key_that_is_refused_parks_until_it_is_replaced(account: Make) -> None:
    a = account("sl_key_30_1_r0")
    a.start()
    with scope(a.brand):
        connection = Connection.objects.get()
        connection.api_key = "revoked"
        connection.save()
    row = stride(a)
    assert (row.state, row.wait) == ("parked", "bad_key")
    with scope(a.brand):
        assert Connection.objects.get().state == "refused"
    connections.connect(brand_id=a.brand.pk, api_key=a.key, actor=a.owner)
    assert a.run().state == "running"
    a.drive()
    assert_exact(a)


def test_the_limit_is_never_exceeded(account: Make) -> None:
    a = account("sl_limit_400_1_r30")
    a.sandbox.control("smartlead", "counters", method="DELETE")
    a.limits(20, 5)
    a.start()
    row = stride(a)
    assert (row.state, row.wait) == ("running", "window")
    assert timezone.now() < row.due_at < timezone.now() + timedelta(seconds=61)
    counted = a.counters()
    assert (counted["over"], counted["refused"]) == (0, 0)
    assert counted["allowed"] <= 20
    assert counted["in_flight_max"] <= 5


def test_two_workers_never_carry_the_same_run(account: Make) -> None:
    a = account("sl_lease_30_1_r0")
    row = a.start()
    with scope(a.brand):
        [held] = leases.claim(Backfill.objects.filter(pk=row.pk), seconds=60)
    calls = a.counters()["allowed"]
    stride(a)
    assert a.counters()["allowed"] == calls
    with scope(a.brand):
        leases.release(held)
    a.drive()


def test_a_campaign_deleted_at_smartlead_is_settled_and_kept(account: Make) -> None:
    a = account("sl_gone_60_2_r0")
    a.start()
    a.drive()
    before = a.count()
    with scope(a.brand):
        place = CampaignLead.objects.first()
        remote = Connection.objects.get() and place.campaign.remote_id
    a.start()
    a.sandbox.control(
        "smartlead", "touch", {"key": a.key, "what": "delete_campaign", "campaign": remote}
    )
    done = a.drive()
    assert a.count() == before
    assert done.rejected == 0


def test_the_sweep_wakes_what_is_overdue_and_nothing_else(account: Make) -> None:
    a = account("sl_sweep_10_1_r0")
    row = a.start()
    assert sweep.wake_overdue() == 0
    with scope(a.brand):
        late = timezone.now() - timedelta(minutes=1)
        Backfill.objects.update(due_at=late)
    assert sweep.wake_overdue() == 1
    assert sweep.wake_overdue() == 0
    control.pause(brand_id=a.brand.pk, backfill_id=row.pk, actor=None)
    assert sweep.wake_overdue() == 0


def test_messages_are_fetched_in_order_of_activity(scoped: Any) -> None:
    campaign = make_campaign()
    rows = [lead_row(n, category=None, status="COMPLETED") for n in range(4)]
    rows[2] = lead_row(2, category=1)
    rows[3] = lead_row(3, category=None, status="STARTED")
    leads.merge(brand_id=scoped.pk, campaign_id=campaign.pk, rows=rows)
    ids = dict(Lead.objects.values_list("email", "id"))
    CampaignLead.objects.filter(lead_id=ids[rows[1].email]).update(history_rank=0)
    backfill = Backfill.objects.create(
        connection=campaign.connection, phase="history", history_since=timezone.now()
    )
    chosen = [job.lead_id for job in jobs.choose(backfill, 10)]  # type: ignore[union-attr]
    assert chosen == [ids[rows[n].email] for n in (1, 2, 0, 3)]
    assert jobs.count_due(backfill) == 4
