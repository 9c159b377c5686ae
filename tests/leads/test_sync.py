"""Syncs: what is new comes in on a schedule, whatever became of the webhooks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing.models import BillingAccount
from leads import connections
from leads.backfill import control, engine, sweep, sync, tail
from leads.hooks import address, inbox
from leads.models import (
    Backfill,
    Campaign,
    CampaignLead,
    Connection,
    Cursor,
    Delivery,
    Hook,
    Lead,
    Message,
    Rejection,
)
from saas.errors import Refused
from saas.tenancy import everyone, scope
from tests.factories import make_brand, make_user
from tests.leads.conftest import Account

pytestmark = pytest.mark.slow  # each test is a run or two against the sandbox
Make = Callable[[str], Account]
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def synced(account: Make) -> Callable[[str], Account]:
    """An account whose first backfill has ended."""

    def make(key: str) -> Account:
        a = account(key)
        a.start()
        a.drive()
        return a

    return make


def due(account: Account) -> None:
    with scope(account.brand):
        Connection.objects.update(sync_due_at=timezone.now() - timedelta(seconds=1))


def update(account: Account) -> Backfill:
    """Have a sync start as beat does, and carry it to its end."""
    due(account)
    assert sync.start_due() == 1
    done = account.drive()
    assert done.kind == "sync"
    row: Backfill = done
    return row


def touch(account: Account, what: str, **fields: Any) -> list[dict[str, Any]]:
    """Make something happen whose webhooks are lost."""
    done = account.sandbox.control(
        "smartlead", "touch", {"key": account.key, "what": what, "times": 0, **fields}
    )
    found: list[dict[str, Any]] = done["touched"]
    return found


def place_of(account: Account, touched: dict[str, Any]) -> CampaignLead:
    with scope(account.brand):
        lead = Lead.objects.get(email=touched["email"])
        row: CampaignLead = CampaignLead.objects.get(
            lead_id=lead.id, campaign__remote_id=touched["campaign_id"]
        )
        return row


def test_the_end_of_a_backfill_makes_the_first_sync_due(synced: Make) -> None:
    a = synced("sl_first_40_2_r0")
    done = a.run()
    with scope(a.brand):
        connection = Connection.objects.get()
        moments = list(Campaign.objects.values_list("leads_at", "events_at"))
    assert connection.synced_at == done.started_at
    assert timedelta(minutes=59) < connection.sync_due_at - done.ended_at < timedelta(minutes=61)
    assert moments == [(done.started_at, done.started_at)] * 2
    assert sync.start_due() == 0


def test_a_sync_of_nothing_new_is_a_few_calls_and_changes_nothing(synced: Make) -> None:
    a = synced("sl_quiet_250_2_r0")
    before, calls = a.count(), a.counters()["allowed"]
    done = update(a)
    assert (done.state, done.phase, done.leads_new, done.messages_new) == ("finished", "done", 0, 0)
    assert a.count() == before
    # Campaigns, categories, and of each campaign what was added, what happened, and who replied.
    assert a.counters()["allowed"] - calls <= 2 + 2 * 3 + 10
    with scope(a.brand):
        assert Connection.objects.get().synced_at == done.started_at
    assert sync.start_due() == 0


def test_a_reply_whose_webhook_was_lost_comes_in_with_the_next_sync(synced: Make) -> None:
    a = synced("sl_lost_60_2_r0")
    messages = a.count()[2]
    (touched,) = touch(a, "reply", category=1, seed=4, text="<p>Yes, call me.</p>")
    assert not place_of(a, touched).replied or place_of(a, touched).category != 1
    done = update(a)
    row = place_of(a, touched)
    assert (row.replied, row.category, row.status) == (True, 1, "COMPLETED")
    assert done.messages_new >= 1
    assert a.count()[2] == messages + done.messages_new
    with scope(a.brand):
        newest = Message.objects.filter(lead_id=row.lead_id).latest("sent_at")
        assert newest.body == "<p>Yes, call me.</p>"
        assert Lead.objects.get(id=row.lead_id).last_activity_at == newest.sent_at


def test_what_a_webhook_brought_is_not_brought_again(synced: Make) -> None:
    from tests.leads.receiver import receiver

    a = synced("sl_both_60_2_r0")
    address.turn_on(brand_id=a.brand.pk, actor=a.owner)
    with receiver() as told:
        a.sandbox.control("smartlead", "webhooks", {"key": a.key, "url": told.url})
        touch(a, "reply", category=1, seed=4, times=1)
        bodies = [body for body, _ in told.mails] if told.wait(2) else []
    from django.test import Client

    with scope(a.brand):
        path = address.url_of(Hook.objects.get())
    for body in bodies:
        Client().post(path, data=body, content_type="application/json")
    inbox.drain()
    before = a.count()
    done = update(a)
    assert (a.count(), done.messages_new) == (before, 0)


def test_a_lost_category_is_found_within_a_day(synced: Make) -> None:
    a = synced("sl_judged_400_1_r0")
    with scope(a.brand):
        replied = CampaignLead.objects.filter(replied=True).first()
        campaign = Campaign.objects.get(pk=replied.campaign_id)
    new = 3 if replied.category != 3 else 1
    (touched,) = touch(
        a, "category", category=new, lead=replied.remote_lead_id, campaign=campaign.remote_id
    )
    update(a)
    assert place_of(a, touched).category == replied.category
    with scope(a.brand):
        a_day_ago = timezone.now() - timedelta(hours=25)
        Backfill.objects.update(started_at=a_day_ago)
        CampaignLead.objects.update(category_at=a_day_ago)
        Lead.objects.update(category_at=a_day_ago)
    done = update(a)
    assert place_of(a, touched).category == new
    with scope(a.brand):
        assert Lead.objects.get(email=touched["email"]).category == new
        assert Cursor.objects.get(backfill=done, kind="replied").state == "done"


def test_new_leads_come_in_and_are_admitted(synced: Make) -> None:
    a = synced("sl_grow_60_2_r0")
    with scope(a.brand):
        remote = Campaign.objects.order_by("remote_id").first().remote_id
        used = BillingAccount.objects.get().leads_used
    touch(a, "grow", count=130, campaign=remote)
    done = update(a)
    assert done.leads_new == 130
    assert a.count()[:2] == (190, 190)
    with scope(a.brand):
        assert BillingAccount.objects.get().leads_used == used + 130
        assert not CampaignLead.objects.filter(history_at=NEVER).exists()
    assert update(a).leads_new == 0


def test_a_new_campaign_is_read_whole(synced: Make) -> None:
    a = synced("sl_newcamp_80_2_r0")
    with scope(a.brand):
        campaign = Campaign.objects.order_by("id").first()
        emails = CampaignLead.objects.filter(campaign=campaign).values("lead_id")
        Lead.objects.filter(id__in=list(emails.values_list("lead_id", flat=True))).delete()
        Campaign.objects.filter(pk=campaign.pk).delete()
        assert Campaign.objects.count() == 1
    due(a)
    sync.start_due()
    engine.stride(a.brand.pk, a.run().pk)  # hands an export of unknown size to the other queue
    engine.stride(a.brand.pk, a.run().pk, bulk=True)
    done = a.drive()
    assert a.count()[:2] == (80, 80)
    with scope(a.brand):
        again = Campaign.objects.get(remote_id=campaign.remote_id)
        assert (again.leads_at, again.events_at) == (done.started_at, done.started_at)
        kinds = Cursor.objects.filter(backfill=done, campaign=again).values_list("kind", flat=True)
        assert list(kinds) == ["leads"]
        assert not CampaignLead.objects.filter(campaign=again, history_at=NEVER).exists()


def test_an_empty_list_of_campaigns_deletes_nothing(synced: Make) -> None:
    a = synced("sl_emptied_40_2_r0")
    before = a.count()
    (touched,) = touch(a, "reply", seed=2)
    for kind in ("empty", "braces", "html"):
        a.fault(kind, path="/campaigns$", count=1)
    update(a)
    assert a.count()[:2] == before[:2]
    assert place_of(a, touched).replied
    with scope(a.brand):
        assert not Campaign.objects.filter(status="DELETED").exists()


def test_an_empty_bare_array_proves_nothing_either(synced: Make) -> None:
    a = synced("sl_bare_40_2_r0")
    with scope(a.brand):
        row = Backfill.objects.create(
            connection=Connection.objects.get(), kind="sync", state="running", has_campaigns=False
        )
        tail.open_cursors(row, [])
        kinds = sorted(Cursor.objects.filter(backfill=row).values_list("kind", flat=True))
    assert kinds == ["created", "created", "events", "events"]


def test_a_deleted_campaign_keeps_what_we_have(synced: Make) -> None:
    a = synced("sl_deleted_60_2_r0")
    before = a.count()
    with scope(a.brand):
        remote = Campaign.objects.order_by("remote_id").first().remote_id
    touch(a, "delete_campaign", campaign=remote)
    update(a)
    assert a.count() == before
    with scope(a.brand):
        assert Campaign.objects.get(remote_id=remote).status == "DELETED"


@pytest.mark.parametrize("fault", ["500", "524", "html", "empty", "truncated", "reset"])
def test_faults_now_and_then_lose_nothing(synced: Make, fault: str) -> None:
    a = synced("sl_syncfaults_60_2_r0")
    with scope(a.brand):
        remote = Campaign.objects.order_by("remote_id").first().remote_id
    touch(a, "grow", count=40, campaign=remote)
    replies = touch(a, "reply", count=5, seed=3)
    a.fault(fault, probability=0.2, seed=7, delay=0)
    done = update(a)
    a.no_faults()
    assert done.rejected == 0
    assert a.count()[0] == 100
    assert all(place_of(a, touched).replied for touched in replies)
    with scope(a.brand):
        assert not Rejection.objects.exists()
        assert set(Cursor.objects.filter(backfill=done).values_list("state", flat=True)) == {"done"}


def test_a_full_plan_leaves_new_leads_to_a_later_sync_and_still_hears_replies(
    synced: Make,
) -> None:
    a = synced("sl_fullsync_60_1_r0")
    with scope(a.brand):
        campaign = Campaign.objects.get()
        BillingAccount.objects.update(lead_quota=70)
    touch(a, "grow", count=150, campaign=campaign.remote_id)
    (touched,) = touch(a, "reply", seed=2)
    done = update(a)
    assert done.state == "finished"
    assert place_of(a, touched).replied
    with scope(a.brand):
        assert Lead.objects.count() == BillingAccount.objects.get().leads_used == 70
        after = Campaign.objects.get()
        assert (after.leads_at, after.events_at) == (campaign.leads_at, done.started_at)
        BillingAccount.objects.update(lead_quota=1000)
    update(a)
    assert a.count()[0] == 210


def test_a_backfill_that_waits_for_room_is_not_in_the_way(account: Make) -> None:
    a = account("sl_room_90_2_r0")
    with scope(a.brand):
        BillingAccount.objects.update(lead_quota=60)
    a.start()
    for _ in range(20):
        engine.stride(a.brand.pk, a.run().pk)
    first = a.run()
    assert (first.state, first.wait, first.waits_for_room) == ("parked", "quota_exceeded", True)
    with scope(a.brand):
        known = CampaignLead.objects.filter(history_rank__lt=3).order_by("lead_id").first()
        remote = Campaign.objects.get(pk=known.campaign_id).remote_id
    (touched,) = touch(a, "reply", lead=known.remote_lead_id, campaign=remote, text="<p>Hm</p>")
    calls = a.counters()["allowed"]
    done = update(a)
    assert done.state == "finished"
    assert place_of(a, touched).replied
    with scope(a.brand):
        kinds = set(Cursor.objects.filter(backfill=done).values_list("kind", flat=True))
        assert kinds == {"events", "replied"}  # new leads would only be refused
        assert Lead.objects.count() == 60
    assert a.counters()["allowed"] - calls < 15
    due(a)
    assert sync.start_due() == 1
    beside = a.run()
    with scope(a.brand):
        BillingAccount.objects.update(lead_quota=1000)
    assert sweep.resume_admitted() == 1
    with scope(a.brand):
        assert Backfill.objects.get(pk=beside.pk).state == "cancelled"
        assert Backfill.objects.get(pk=first.pk).state == "running"
        events = set(Campaign.objects.values_list("events_at", flat=True))
    for _ in range(60):
        with scope(a.brand):
            Backfill.objects.filter(pk=first.pk).update(due_at=first.created_at)
        engine.stride(a.brand.pk, first.pk)
    with scope(a.brand):
        assert Backfill.objects.get(pk=first.pk).state == "finished"
        assert set(Campaign.objects.values_list("events_at", flat=True)) == events  # never back
    assert a.count()[0] == 90


def test_pausing_what_waits_for_room_ends_the_sync_beside_it(account: Make) -> None:
    a = account("sl_pausing_30_1_r0")
    with scope(a.brand):
        BillingAccount.objects.update(lead_quota=10)
    a.start()
    for _ in range(8):
        engine.stride(a.brand.pk, a.run().pk)
    first = a.run()
    due(a)
    assert sync.start_due() == 1
    control.pause(brand_id=a.brand.pk, backfill_id=first.pk, actor=a.owner)
    with scope(a.brand):
        states = list(Backfill.objects.order_by("id").values_list("state", flat=True))
    assert states == ["paused", "cancelled"]
    due(a)
    assert sync.start_due() == 0


def test_a_persons_backfill_goes_first(synced: Make) -> None:
    a = synced("sl_first_60_2_r0")
    due(a)
    sync.start_due()
    running = a.run()
    assert (running.kind, running.state) == ("sync", "running")
    planned = a.plan()
    with scope(a.brand):
        assert Backfill.objects.get(pk=running.pk).state == "cancelled"
    due(a)
    assert sync.start_due() == 0
    control.start(brand_id=a.brand.pk, backfill_id=planned.pk, actor=a.owner)
    due(a)
    assert sync.start_due() == 0
    with pytest.raises(Refused, match="under way"):
        a.plan()
    assert a.drive().kind == "full"
    assert update(a).state == "finished"


def test_a_plan_that_nobody_starts_does_not_hold_syncs_up(synced: Make) -> None:
    a = synced("sl_forgot_20_1_r0")
    planned = a.plan()
    with scope(a.brand):
        Backfill.objects.filter(pk=planned.pk).update(
            created_at=timezone.now() - sync.FORGOTTEN_PLAN - timedelta(minutes=1)
        )
    assert update(a).state == "finished"


def test_off_means_off_and_a_shorter_pace_is_due_sooner(synced: Make) -> None:
    a = synced("sl_pace_20_1_r0")
    connections.set_schedule(brand_id=a.brand.pk, sync_every=0, actor=a.owner)
    due(a)
    assert sync.start_due() == 0
    connections.set_schedule(brand_id=a.brand.pk, sync_every=15, actor=a.owner)
    with scope(a.brand):
        connection = Connection.objects.get()
        assert connection.sync_due_at == connection.synced_at + timedelta(minutes=15)


@pytest.mark.parametrize("fields", [{"state": "disconnected"}, {"state": "refused"}])
def test_no_key_no_sync(synced: Make, fields: dict[str, str]) -> None:
    a = synced("sl_nokey_20_1_r0")
    with scope(a.brand):
        Connection.objects.update(**fields)
    due(a)
    assert sync.start_due() == 0


def test_an_ended_trial_is_not_synced(synced: Make) -> None:
    a = synced("sl_ended_20_1_r0")
    with scope(a.brand):
        BillingAccount.objects.update(trial_ends_at=timezone.now() - timedelta(days=1))
    due(a)
    assert sync.start_due() == 0
    with scope(a.brand):
        assert Connection.objects.get().sync_due_at > timezone.now()


def test_many_beats_start_one(live_db: Any, sandbox: Any) -> None:
    owner = make_user()
    brand = make_brand(owner=owner)
    a = Account(brand, owner, sandbox, "sl_beats_10_1_r0")
    with scope(brand):
        Connection.objects.update(
            sync_due_at=timezone.now() - timedelta(seconds=1), synced_at=timezone.now()
        )

    def beat(_: int) -> int:
        from django.db import connection

        try:
            return sync.start_due()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(beat, range(8)))
    assert sum(started) == 1
    with scope(brand):
        assert Backfill.objects.count() == 1
    assert a.run().kind == "sync"


def test_a_killed_stride_of_a_sync_is_followed_up(synced: Make) -> None:
    a = synced("sl_killsync_60_2_r0")
    (touched,) = touch(a, "reply", seed=2)
    due(a)
    sync.start_due()
    run = a.run()
    with scope(a.brand):
        work = engine._claim(a.brand.pk, run.pk)  # and then it is killed
        assert work is not None
        Backfill.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert a.drive().state == "finished"
    assert place_of(a, touched).replied


def test_old_syncs_are_forgotten_and_backfills_are_not(synced: Make) -> None:
    a = synced("sl_old_20_1_r0")
    first = a.run()
    old = update(a)
    new = update(a)
    with scope(a.brand):
        Backfill.objects.filter(pk__in=[first.pk, old.pk]).update(
            ended_at=timezone.now() - sync.KEPT - timedelta(hours=1)
        )
    with everyone("test"):
        sync.prune()
        assert set(Backfill.objects.values_list("pk", flat=True)) == {first.pk, new.pk}
        assert not Delivery.objects.exists()
