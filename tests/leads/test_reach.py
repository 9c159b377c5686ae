"""The plan's history: whose messages are fetched, and what a change of plan changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Membership
from accounts.roles import Role
from billing import catalog
from billing.models import BillingAccount, Standing
from leads.backfill import control, reach
from leads.hooks import address, inbox
from leads.models import Campaign, CampaignLead, Cursor, Hook, Lead, Message
from saas.tenancy import scope
from sandbox.smartlead.account import options_from_key
from sandbox.smartlead.book import Book, Wanted
from tests.factories import make_user
from tests.leads import factories
from tests.leads.conftest import Account
from tests.leads.test_sync import touch, update
from tests.leads.truth import assert_exact

Make = Callable[[str], Account]
Places = set[tuple[int, str]]
# The sandbox's leads were added from July 2024 to autumn 2026, whenever the test runs.
SHORT, LONG = datetime(2026, 5, 1, tzinfo=UTC), datetime(2025, 5, 1, tzinfo=UTC)
STARTER, GROWTH, SCALE = "leads_starter", "leads_growth", "leads_scale"


@pytest.fixture(autouse=True)
def _reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, since in ((STARTER, SHORT), (GROWTH, LONG)):
        plan = catalog.PLANS[key]
        limits = replace(plan.limits, history_days=(timezone.now() - since).days)
        monkeypatch.setitem(catalog.PLANS, key, replace(plan, limits=limits))


def buy(brand: Any, plan: str) -> None:
    with scope(brand):
        quota = catalog.plan(plan).limits.leads
        BillingAccount.objects.update(plan=plan, standing=Standing.ACTIVE, lead_quota=quota)


def since(plan: str, run: Any) -> datetime:
    days = catalog.plan(plan).limits.history_days
    assert days is not None
    moment: datetime = run.started_at - timedelta(days=days)
    return moment


def active(key: str, since: datetime) -> Places:
    """Places of an untouched account that were active since then, read from its seed."""
    book, found = Book(options_from_key(key)), set()
    for campaign in book.campaigns():
        rows = book.rows(campaign, Wanted())
        for position in rows.page(0, len(rows)):
            standing = book.standing(campaign, position)
            moments = [standing.created, *(mail.at for mail in book.thread(standing))]
            if max(moments) >= since.timestamp():
                found.add((campaign.id, book.person(standing).email))
    return found


def fetched(a: Account, after: datetime = reach.NEVER_TILL) -> Places:
    with scope(a.brand):
        places = CampaignLead.objects.filter(history_at__gt=after)
        remote = dict(Campaign.objects.values_list("pk", "remote_id"))
        emails = dict(Lead.objects.values_list("id", "email"))
        return {(remote[place.campaign_id], emails[place.lead_id]) for place in places}


@pytest.fixture
def starter(account: Make) -> Callable[[str], Account]:
    """An account on Starter whose first backfill has ended."""

    def make(key: str) -> Account:
        a = account(key)
        buy(a.brand, STARTER)
        a.start()
        a.drive()
        return a

    return make


# --- runs ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("by_pages", [False, True])
def test_a_run_fetches_the_threads_of_those_active_since(account: Make, *, by_pages: bool) -> None:
    a = account("sl_reach_300_2_r0")
    buy(a.brand, STARTER)
    a.start()
    if by_pages:
        a.by_pages()
    run = a.drive()
    wanted = active(a.key, since(STARTER, run))
    assert fetched(a) == wanted
    assert run.history_total == run.history_done == len(wanted)
    assert a.count()[0] == 300
    with scope(a.brand):
        joined = CampaignLead.objects.filter(joined_at__gte=since(STARTER, run)).count()
        without = CampaignLead.objects.filter(history_at__lt=reach.NEVER_TILL)
        ids = list(without.values_list("lead_id", flat=True))
        assert not Message.objects.filter(lead_id__in=ids).exists()
    assert 0 < joined < len(wanted) < 150  # some joined before, and something happened since


@pytest.mark.slow
def test_after_an_upgrade_the_next_sync_fetches_what_was_left_out(starter: Make) -> None:
    a = starter("sl_upgrade_300_2_r0")
    before = fetched(a)
    assert update(a).messages_new == 0
    buy(a.brand, GROWTH)
    done = update(a)
    wanted = active(a.key, since(GROWTH, done))
    assert fetched(a) == wanted > before
    assert fetched(a, done.started_at) == wanted - before  # what was here is not fetched again
    buy(a.brand, SCALE)
    update(a)
    assert_exact(a)


@pytest.mark.slow
def test_after_an_upgrade_the_next_backfill_fetches_what_was_left_out(starter: Make) -> None:
    a = starter("sl_again_200_2_r0")
    buy(a.brand, SCALE)
    a.start()
    a.drive()
    assert_exact(a)


@pytest.mark.slow
def test_after_a_downgrade_what_is_here_stays(account: Make) -> None:
    a = account("sl_downgrade_200_2_r0")
    a.start()
    a.drive()
    assert_exact(a)
    buy(a.brand, STARTER)
    a.start()
    run = a.drive()
    assert_exact(a)
    assert fetched(a, run.started_at) == active(a.key, since(STARTER, run))


@pytest.mark.slow
def test_the_plan_of_the_start_counts_not_that_of_the_preview(account: Make) -> None:
    a = account("sl_between_120_2_r0")
    planned = a.plan()
    buy(a.brand, STARTER)
    control.start(brand_id=a.brand.pk, backfill_id=planned.pk, actor=a.owner)
    run = a.drive()
    assert fetched(a) == active(a.key, since(STARTER, run))
    later = a.plan()
    buy(a.brand, SCALE)
    control.start(brand_id=a.brand.pk, backfill_id=later.pk, actor=a.owner)
    done = a.drive()
    assert_exact(a)
    with scope(a.brand):
        assert not Cursor.objects.filter(backfill=done, kind=Cursor.Kind.ACTIVE).exists()


@pytest.mark.slow
def test_an_old_lead_that_replies_is_fetched_whatever_the_plan(starter: Make) -> None:
    a = starter("sl_oldreply_120_1_r0")
    with scope(a.brand):
        place = CampaignLead.objects.filter(history_at__lt=reach.NEVER_TILL).first()
        remote = Campaign.objects.get().remote_id
    touch(a, "reply", lead=place.remote_lead_id, campaign=remote, text="<p>At last</p>")
    update(a)
    with scope(a.brand):
        mails = Message.objects.filter(lead_id=place.lead_id)
        assert mails.filter(body="<p>At last</p>").exists()
        assert mails.count() > 1  # the whole thread
        assert CampaignLead.objects.get(lead_id=place.lead_id).history_at > reach.NEVER_TILL


@pytest.mark.slow
def test_an_event_of_an_old_lead_is_heard_and_its_thread_fetched(starter: Make) -> None:
    from tests.leads.receiver import receiver

    a = starter("sl_oldevent_120_1_r0")
    address.turn_on(brand_id=a.brand.pk, actor=a.owner)
    with scope(a.brand):
        place = CampaignLead.objects.filter(history_at__lt=reach.NEVER_TILL).first()
        remote, path = Campaign.objects.get().remote_id, address.url_of(Hook.objects.get())
    with receiver() as told:
        wanted = {"key": a.key, "url": told.url, "events": ["LEAD_UNSUBSCRIBED"]}
        a.sandbox.control("smartlead", "webhooks", wanted)
        touch(a, "unsubscribe", lead=place.remote_lead_id, campaign=remote, times=1)
        bodies = [body for body, _ in told.mails] if told.wait(1) else []
    Client().post(path, data=bodies[0], content_type="application/json")
    inbox.drain()
    update(a)
    with scope(a.brand):
        assert CampaignLead.objects.get(lead_id=place.lead_id).history_at > reach.NEVER_TILL


@pytest.mark.slow
def test_who_was_active_is_asked_once(starter: Make) -> None:
    a = starter("sl_once_60_2_r0")
    with scope(a.brand):
        kinds = set(Cursor.objects.values_list("kind", flat=True))
        asked = set(Campaign.objects.values_list("active_from", flat=True))
    assert Cursor.Kind.ACTIVE in kinds
    assert asked == {since(STARTER, a.run())}
    done = update(a)
    with scope(a.brand):
        assert not Cursor.objects.filter(backfill=done, kind=Cursor.Kind.ACTIVE).exists()
        # Not heard of for longer than the plan reaches: what happened meanwhile is asked for.
        Campaign.objects.update(events_at=SHORT - timedelta(days=9))
    done = update(a)
    with scope(a.brand):
        assert Cursor.objects.filter(backfill=done, kind=Cursor.Kind.ACTIVE).count() == 2


@pytest.mark.slow
def test_who_was_active_is_asked_again_when_smartlead_refused(account: Make) -> None:
    a = account("sl_refused_200_1_r0")
    buy(a.brand, STARTER)
    planned = a.plan()
    a.fault("524", path="event_time_gt", delay=0)
    control.start(brand_id=a.brand.pk, backfill_id=planned.pk, actor=a.owner)
    with scope(a.brand):
        Cursor.objects.filter(kind=Cursor.Kind.ACTIVE).update(state=Cursor.State.SKIPPED)
    run = a.drive()
    a.no_faults()
    assert fetched(a) < active(a.key, since(STARTER, run))
    done = update(a)
    assert fetched(a) >= active(a.key, since(STARTER, done))


# --- pages ---------------------------------------------------------------------------------------


@pytest.fixture
def web(client_for: Callable[[Any], Client], owner: Any) -> Client:
    return client_for(owner)


@pytest.fixture
def viewer(client_for: Callable[[Any], Client], brand: Any) -> Client:
    user = make_user()
    with scope(brand):
        Membership.objects.create(user=user, role=Role.VIEWER)
    return client_for(user)


def page(web: Client, brand: Any, path: str) -> str:
    return web.get(f"/b/{brand.slug}/{path}", follow=True).content.decode()


def test_the_preview_says_what_is_left_out_and_why(
    web: Client, viewer: Client, account: Make
) -> None:
    a = account("sl_preview_300_2_r0")
    buy(a.brand, STARTER)
    answer = web.post(f"/b/{a.brand.slug}/backfills/plan/", follow=True)
    run, text = a.run(), answer.content.decode()
    with scope(a.brand):
        totals = Cursor.objects.filter(kind=Cursor.Kind.ACTIVE).values_list("total", flat=True)
        threads = sum(totals)
    assert 0 < threads < 100
    days = catalog.plan(STARTER).limits.history_days
    assert f"active in the last {days} days: that is how far Starter reaches." in text
    assert f"of about {300 - threads} that were last active before, the messages" in text
    assert f"<dt>Then messages</dt><dd>{threads} calls" in text
    assert '<a href="/pricing/">Growth</a> reaches' in text
    assert f'<a href="/b/{a.brand.slug}/billing/change/">Choose a larger plan</a>' in text
    asked = page(viewer, a.brand, f"backfills/{run.pk}/")
    assert f"Ask an owner of {a.brand.name} to choose a larger plan." in asked
    assert "/billing/" not in asked
    assert run.planned_calls < 300


def test_a_plan_without_a_limit_says_nothing_of_one(web: Client, account: Make) -> None:
    a = account("sl_nolimit_30_1_r0")
    text = web.post(f"/b/{a.brand.slug}/backfills/plan/", follow=True).content.decode()
    assert "All of them fit" in text
    assert "last active before" not in text
    with scope(a.brand):
        assert not Cursor.objects.filter(kind=Cursor.Kind.ACTIVE).exists()


def test_a_lead_s_page_says_that_older_threads_are_not_fetched(web: Client, brand: Any) -> None:
    from leads.ingest import leads, messages
    from leads.ingest.rows import Thread

    buy(brand, STARTER)
    with scope(brand):
        campaign = factories.make_campaign()
        rows = [factories.lead_row(n) for n in (1, 2)]
        fresh = factories.lead_row(3, joined_at=timezone.now())
        leads.merge(brand_id=brand.pk, campaign_id=campaign.pk, rows=[*rows, fresh])
        old, here, new = Lead.objects.order_by("id").values_list("id", flat=True)
        messages.merge(
            brand_id=brand.pk,
            campaign_id=campaign.pk,
            threads=[Thread(here, (factories.message_row(1),))],
            fetched_at=timezone.now(),
        )
    said = "so its messages are not fetched."
    text = page(web, brand, f"leads/{old}/")
    assert said in text
    assert "No messages yet" not in text
    assert '<a href="/pricing/">Growth</a> reaches' in text
    assert said not in page(web, brand, f"leads/{here}/")  # fetched before: it stays
    assert said not in page(web, brand, f"leads/{new}/")
    assert "No messages yet" in page(web, brand, f"leads/{new}/")
    buy(brand, SCALE)
    assert said not in page(web, brand, f"leads/{old}/")


def test_the_price_list_and_the_billing_page_tell_the_limit(
    web: Client, brand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    prices = web.get("/pricing/").content.decode()
    for words in ("in the last 90 days", "in the last year", "All messages, however old"):
        assert f"<span>{words}" in prices or f"active {words}" in prices, words
    buy(brand, STARTER)
    assert "Messages of leads active in the last 90 days" in page(web, brand, "billing/")
