"""Changes of many leads: exactly those that the list shows, each once, and back again."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads import search
from leads.ingest import leads, messages
from leads.ingest.rows import Thread
from leads.models import (
    BulkJob,
    Campaign,
    CampaignLead,
    Lead,
    LeadChange,
    LeadTag,
    Message,
    Note,
    Suppression,
    Tag,
)
from leads.search import Filters
from leads.work import bulk, changes, stride, tags
from leads.work.bulk import Wish
from leads.work.changes import Change
from saas.errors import Refused
from saas.leases import claim, release
from saas.tenancy import scope
from tests.factories import make_brand, make_user
from tests.leads.factories import JOINED, lead_row, lead_rows, make_campaign, message_row

What, State = BulkJob.What, BulkJob.State
ALL = Filters()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of seven leads."""
    monkeypatch.setattr(stride, "BATCH", dict.fromkeys(What, 7))


@pytest.fixture
def stocked(scoped: Any, small: None) -> Any:
    """40 leads in Spring, the first 10 of them in Autumn too."""
    spring, autumn = make_campaign(name="Spring"), make_campaign(name="Autumn")
    leads.merge(brand_id=scoped.pk, campaign_id=spring.pk, rows=list(lead_rows(40)))
    again = [lead_row(n, status="BLOCKED", category=2) for n in range(10)]
    leads.merge(brand_id=scoped.pk, campaign_id=autumn.pk, rows=again)
    Lead.objects.filter(email__in=numbered(7, 30)).update(replied=True)
    return scoped


def numbered(*numbers: int) -> set[str]:
    return {lead_row(n).email for n in numbers}


def begin(
    brand: Any,
    owner: Any,
    what: str,
    filters: Filters = ALL,
    **more: Any,
) -> BulkJob:
    wish = Wish(what, filters, **more)
    return bulk.start(brand_id=brand.pk, wish=wish, request_key=uuid.uuid4(), actor=owner)


def drive(job: BulkJob) -> BulkJob:
    """Stride, as workers would, until the job has ended."""
    for _ in range(50):
        stride.stride(job.brand_id, job.pk)
        job.refresh_from_db()
        if not job.live:
            return job
    raise AssertionError(job.__dict__)


def some_batches(job: BulkJob, count: int) -> None:
    """Do the counting and `count` batches, then give the job back."""
    [held] = claim(BulkJob.objects.filter(pk=job.pk), seconds=60)
    for _ in range(count + (held.total is None)):
        assert stride.step(held)
    release(held)


def tagged(name: str) -> set[str]:
    ids = LeadTag.objects.filter(tag__name=name).values_list("lead_id", flat=True)
    return set(Lead.objects.filter(id__in=list(ids)).values_list("email", flat=True))


def shown(brand: Any, filters: Filters) -> set[str]:
    """What the list shows over all of its pages."""
    page = search.page(brand.pk, filters)
    found = {row.email for row in page.rows}
    while page.after is not None:
        page = search.page(brand.pk, filters, after=page.after)
        found |= {row.email for row in page.rows}
    return found


FILTERS = st.builds(
    Filters,
    q=st.sampled_from(["", "", "lead000001", "company 3", "zzz"]),
    campaign=st.sampled_from([None, None, "Spring", "Autumn"]),
    status=st.sampled_from(["", "", "STARTED", "BLOCKED"]),
    category=st.sampled_from([None, None, 2, 6]),
    replied=st.sampled_from([False, False, True]),
    since=st.sampled_from([None, date(2026, 1, 1), date(2026, 1, 2)]),
    unsubscribed=st.sampled_from([False, False, True]),
    tag=st.sampled_from([None, None, "old"]),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filters=FILTERS, size=st.integers(1, 9))
def test_a_filter_s_change_touches_what_the_list_shows_and_nothing_else(
    stocked: Any, owner: Any, filters: Any, size: int
) -> None:
    Tag.objects.all().delete()
    LeadChange.objects.all().delete()
    old = tags.named(stocked.pk, "old", actor=owner)
    for lead in Lead.objects.filter(email__in=numbered(1, 3, 30)):
        tags.add(stocked.pk, lead.id, old, actor=owner)
    Lead.objects.filter(email__in=numbered(3, 12)).update(unsubscribed=True)
    campaign = filters.campaign and Campaign.objects.get(name=filters.campaign).pk
    chosen = search.replace(filters, campaign=campaign, tag=filters.tag and old.pk)
    expected = shown(stocked, chosen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stride, "BATCH", dict.fromkeys(What, size))
        job = drive(begin(stocked, owner, What.TAG, chosen, tag="new"))
    assert tagged("new") == expected
    assert (job.state, job.total, job.seen, job.changed) == (
        "finished", len(expected), len(expected), len(expected),
    )  # fmt: skip
    assert LeadChange.objects.filter(job_id=job.pk).count() == len(expected)
    if expected:
        undone = drive(bulk.undo(brand_id=stocked.pk, job_id=job.pk, actor=owner)).undone
        assert undone == len(expected)
    assert tagged("new") == set()
    assert tagged("old") == numbered(1, 3, 30)


def test_leads_that_come_in_later_are_not_touched(stocked: Any, owner: Any) -> None:
    job = begin(stocked, owner, What.TAG, tag="then")
    campaign = Campaign.objects.get(name="Spring").pk
    leads.merge(brand_id=stocked.pk, campaign_id=campaign, rows=[lead_row(99)])
    assert drive(job).changed == 40
    assert lead_row(99).email not in tagged("then")


# --- category ------------------------------------------------------------------------------------


def standing(email: str) -> tuple[int | None, dict[str, int | None]]:
    lead = Lead.objects.get(email=email)
    places = CampaignLead.objects.filter(lead_id=lead.id).select_related("campaign")
    return lead.category, {place.campaign.name: place.category for place in places}


def test_a_category_goes_to_the_lead_and_its_places_and_comes_back(
    stocked: Any, owner: Any
) -> None:
    before = {email: standing(email) for email in numbered(*range(40))}
    job = drive(begin(stocked, owner, What.CATEGORY, category=3))
    assert (job.label, job.changed) == ("Not Interested", 40)
    assert standing(lead_row(5).email) == (3, {"Spring": 3, "Autumn": 3})
    assert set(Lead.objects.values_list("category", flat=True)) == {3}
    drive(bulk.undo(brand_id=stocked.pk, job_id=job.pk, actor=owner))
    assert {email: standing(email) for email in before} == before
    assert not Lead.objects.filter(category_set_at__isnull=False).exists()
    assert not LeadChange.objects.exists()


def test_an_undo_leaves_what_somebody_changed_since(stocked: Any, owner: Any) -> None:
    job = drive(begin(stocked, owner, What.CATEGORY, category=3))
    five = Lead.objects.get(email=lead_row(5).email)
    drive(begin(stocked, owner, What.CATEGORY, ticked=(five.id,), category=1))
    undone = drive(bulk.undo(brand_id=stocked.pk, job_id=job.pk, actor=owner))
    assert (undone.state, undone.undone) == ("undone", 39)
    assert standing(five.email) == (1, {"Spring": 1, "Autumn": 1})


def test_no_sync_overwrites_a_category_that_a_person_chose(stocked: Any, owner: Any) -> None:
    five = lead_row(5)
    lead = Lead.objects.get(email=five.email)
    drive(begin(stocked, owner, What.CATEGORY, ticked=(lead.id,), category=1))
    later = JOINED + timedelta(days=9)
    summer = make_campaign(name="Summer")
    for campaign in Campaign.objects.all():
        rows = [lead_row(n, category=4, joined_at=later) for n in (5, 6)]
        leads.merge(brand_id=stocked.pk, campaign_id=campaign.pk, rows=rows)
    assert standing(five.email) == (1, {"Spring": 1, "Autumn": 1, "Summer": 1})
    assert standing(lead_row(6).email) == (4, {"Spring": 4, "Autumn": 4, "Summer": 4})
    assert summer.pk


def test_no_category_is_a_choice_too(stocked: Any, owner: Any) -> None:
    job = drive(begin(stocked, owner, What.CATEGORY, Filters(category=2), category=None))
    assert (job.label, job.changed) == ("No category", 11)
    assert not Lead.objects.filter(category=2).exists()
    assert drive(begin(stocked, owner, What.CATEGORY, category=None)).changed == 29


# --- tags ----------------------------------------------------------------------------------------


def test_removing_a_tag_over_its_own_filter_and_back(stocked: Any, owner: Any) -> None:
    drive(begin(stocked, owner, What.TAG, Filters(status="STARTED"), tag=" Hot  Lead "))
    tag = Tag.objects.get()
    carried = tagged("Hot Lead")
    assert len(carried) == 10
    job = drive(begin(stocked, owner, What.UNTAG, Filters(tag=tag.pk), tag="hot lead"))
    assert (job.changed, tagged("Hot Lead")) == (10, set())
    drive(bulk.undo(brand_id=stocked.pk, job_id=job.pk, actor=owner))
    assert tagged("Hot Lead") == carried


def test_a_tag_that_is_deleted_meanwhile_ends_its_job(stocked: Any, owner: Any) -> None:
    job = begin(stocked, owner, What.TAG, tag="gone")
    some_batches(job, 1)
    tags.delete(stocked.pk, Tag.objects.get(), actor=owner)
    job = drive(job)
    assert (job.state, job.changed, job.label) == ("finished", 7, "gone")
    assert not LeadTag.objects.exists()


# --- delete --------------------------------------------------------------------------------------


def test_deleted_leads_go_with_all_that_is_theirs_and_stay_deleted(
    stocked: Any, owner: Any
) -> None:
    spring = Campaign.objects.get(name="Spring")
    five, six = (Lead.objects.get(email=lead_row(n).email) for n in (5, 6))
    hot = tags.named(stocked.pk, "hot", actor=owner)
    for lead in (five, six):
        thread = Thread(lead.id, (message_row(1), message_row(2)))
        messages.merge(
            brand_id=stocked.pk, campaign_id=spring.pk, threads=[thread], fetched_at=JOINED
        )
        tags.add(stocked.pk, lead.id, hot, actor=owner)
        Note.objects.create(lead_id=lead.id, author=owner, text="Call")
    job = drive(begin(stocked, owner, What.DELETE, ticked=(five.id,)))
    assert (job.changed, Lead.objects.count()) == (1, 39)
    for model in (CampaignLead, Message, LeadTag, LeadChange, Note):
        assert set(model.objects.filter(lead_id__in=[five.id, six.id]).values_list("lead_id")) == {
            (six.id,)
        }, model
    leads.merge(brand_id=stocked.pk, campaign_id=spring.pk, rows=list(lead_rows(41)))
    assert Lead.objects.count() == 40
    assert not Lead.objects.filter(email=five.email).exists()
    late = Thread(five.id, (message_row(3),))
    merged = messages.merge(
        brand_id=stocked.pk, campaign_id=spring.pk, threads=[late], fetched_at=JOINED
    )
    assert merged.new == 0

    row = Suppression.objects.get()
    assert five.email.encode() not in bytes(row.digest)
    drive(bulk.undo(brand_id=stocked.pk, job_id=job.pk, actor=owner))
    leads.merge(brand_id=stocked.pk, campaign_id=spring.pk, rows=list(lead_rows(41)))
    assert Lead.objects.filter(email=five.email).exists()


def test_another_brand_s_sync_knows_nothing_of_deleted_leads(stocked: Any, owner: Any) -> None:
    drive(begin(stocked, owner, What.DELETE))
    assert (Lead.objects.count(), Suppression.objects.count()) == (0, 40)
    with connection.cursor() as cursor:
        cursor.execute("SELECT digest FROM leads_suppression")
        ours = {bytes(row[0]) for row in cursor.fetchall()}
    assert len(ours) == 40


# --- moves ---------------------------------------------------------------------------------------


def test_a_cancelled_change_stops_where_it_is_and_can_be_undone(stocked: Any, owner: Any) -> None:
    job = begin(stocked, owner, What.TAG, tag="half")
    some_batches(job, 2)
    bulk.cancel(job_id=job.pk, actor=owner)
    stride.stride(stocked.pk, job.pk)
    job.refresh_from_db()
    assert (job.state, job.seen, len(tagged("half"))) == ("cancelled", 14, 14)
    with pytest.raises(Refused, match="cancelled already"):
        bulk.cancel(job_id=job.pk, actor=owner)
    undone = drive(bulk.undo(brand_id=stocked.pk, job_id=job.pk, actor=owner))
    assert (undone.state, undone.undone, tagged("half")) == ("undone", 14, set())
    with pytest.raises(Refused, match="undone already"):
        bulk.undo(brand_id=stocked.pk, job_id=job.pk, actor=owner)


def test_a_worker_in_a_batch_notices_that_it_was_cancelled(stocked: Any, owner: Any) -> None:
    job = begin(stocked, owner, What.TAG, tag="half")
    [held] = claim(BulkJob.objects.filter(pk=job.pk), seconds=60)
    assert stride.step(held)
    assert stride.step(held)
    bulk.cancel(job_id=job.pk, actor=owner)
    assert stride.step(held) is False
    assert len(tagged("half")) == 7


def test_after_seven_days_there_is_no_undo(stocked: Any, owner: Any) -> None:
    job = drive(begin(stocked, owner, What.TAG, tag="old"))
    BulkJob.objects.update(ended_at=timezone.now() - timedelta(days=7, seconds=1))
    with pytest.raises(Refused, match="can't be undone"):
        bulk.undo(brand_id=stocked.pk, job_id=job.pk, actor=owner)
    assert len(tagged("old")) == 40


def test_the_same_press_twice_is_one_change(stocked: Any, owner: Any) -> None:
    key = uuid.uuid4()
    wish = Wish(What.TAG, Filters(), tag="once")
    jobs = {
        bulk.start(brand_id=stocked.pk, wish=wish, request_key=key, actor=owner).pk
        for _ in range(2)
    }
    assert len(jobs) == BulkJob.objects.count() == 1


@pytest.mark.parametrize(
    "more",
    [
        {"what": "nonsense"},
        {"what": What.CATEGORY, "category": 12345},
        {"what": What.TAG, "tag": "  "},
        {"what": What.TAG, "tag": "x" * 41},
        {"what": What.TAG, "tag": "a\x00b"},
        {"what": What.UNTAG, "tag": "never made"},
        {"what": What.DELETE, "ticked": ()},
        {"what": What.DELETE, "ticked": tuple(range(1001))},
    ],
)
def test_what_makes_no_sense_begins_nothing(stocked: Any, owner: Any, more: Any) -> None:
    with pytest.raises(Refused):
        begin(stocked, owner, **more)
    assert not BulkJob.objects.exists()


def test_changes_are_journalled_with_their_numbers(stocked: Any, owner: Any) -> None:
    job = drive(begin(stocked, owner, What.TAG, Filters(replied=True), tag="hot"))
    drive(bulk.undo(brand_id=stocked.pk, job_id=job.pk, actor=owner))
    rows = LogEntry.objects.filter(additional_data__event__startswith="bulk.").order_by("id")
    assert [(row.additional_data["event"], row.actor) for row in rows] == [
        ("bulk.started", owner), ("bulk.finished", owner), ("bulk.undo_started", owner),
        ("bulk.undone", owner),
    ]  # fmt: skip
    assert rows[0].changes["filters"] == [{}, {"replied": "1"}]
    assert rows[1].changes == {"seen": [0, 2], "changed": [0, 2], "undone": [0, 0]}
    assert rows[3].changes["undone"] == [0, 2]


def test_only_so_many_at_a_time(stocked: Any, owner: Any) -> None:
    for number in range(bulk.MOST_LIVE):
        begin(stocked, owner, What.TAG, tag=f"t{number}")
    with pytest.raises(Refused, match="under way"):
        begin(stocked, owner, What.TAG, tag="more")


# --- brands --------------------------------------------------------------------------------------


def test_another_brand_s_leads_tags_and_jobs_are_not_there(brand: Any, owner: Any) -> None:
    other = make_brand()
    for each in (brand, other):
        with scope(each):
            campaign = make_campaign()
            leads.merge(brand_id=each.pk, campaign_id=campaign.pk, rows=list(lead_rows(3)))
    with scope(other):
        theirs = tuple(Lead.objects.values_list("id", flat=True))
        their_job = begin(other, make_user(), What.TAG, tag="theirs").pk
        drive(BulkJob.objects.get(pk=their_job))
        their_tag = Tag.objects.get().pk
    with scope(brand):
        for what in (What.DELETE, What.TAG, What.CATEGORY):
            job = drive(begin(brand, owner, what, ticked=theirs, tag="ours", category=1))
            assert (job.seen, job.changed) == (3, 0)
        assert drive(begin(brand, owner, What.DELETE, Filters(tag=their_tag))).changed == 0
        for move in (bulk.undo,):
            with pytest.raises(Refused, match="no such change"):
                move(brand_id=brand.pk, job_id=their_job, actor=owner)
        with pytest.raises(Refused, match="no such change"):
            bulk.cancel(job_id=their_job, actor=owner)
        with pytest.raises(Refused, match="no such tag"):
            begin(brand, owner, What.UNTAG, tag="theirs")
        stride.stride(brand.pk, their_job)
        assert Lead.objects.count() == 3
    with scope(other):
        assert LeadTag.objects.count() == Lead.objects.count() == 3


# --- workers that die, and two at a time ---------------------------------------------------------


@pytest.fixture
def many(live_db: Any) -> tuple[Any, Any]:
    owner = make_user()
    brand = make_brand(owner=owner)
    with scope(brand):
        campaign = make_campaign()
        leads.merge(brand_id=brand.pk, campaign_id=campaign.pk, rows=list(lead_rows(900)))
    return brand, owner


def once_each(brand: Any, job: BulkJob, count: int) -> None:
    with scope(brand):
        job.refresh_from_db()
        assert (job.state, job.seen, job.changed) == ("finished", count, count)
        ids = list(LeadChange.objects.filter(job_id=job.pk).values_list("lead_id", flat=True))
        assert len(ids) == len(set(ids)) == LeadTag.objects.count() == count


def test_two_workers_at_once_do_each_lead_once(
    many: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    brand, owner = many
    monkeypatch.setattr(stride, "BATCH", dict.fromkeys(What, 20))
    with scope(brand):
        job = begin(brand, owner, What.TAG, tag="hot")
    barrier = threading.Barrier(4)
    faults: list[BaseException] = []

    def work() -> None:
        try:
            barrier.wait()
            stride.stride(brand.pk, job.pk)
        except BaseException as e:  # noqa: BLE001 - the test tells it
            faults.append(e)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    once_each(brand, job, 900)


def category_beside_a_merge(brand: Any, owner: Any) -> int | None:
    """Set a lead's category while a merge puts the lead into another campaign; return the
    category that it has there in the end."""
    with scope(brand):
        autumn = make_campaign(name="Autumn")
        lead = Lead.objects.get(email=lead_row(1).email)

    def choose() -> None:
        with scope(brand):
            change = Change(What.CATEGORY, timezone.now(), owner.pk, category=7)
            changes.apply(brand.pk, [lead.id], change)
        connection.close()

    chooser = threading.Thread(target=choose)
    with scope(brand):
        leads.merge(brand_id=brand.pk, campaign_id=autumn.pk, rows=[lead_row(1)])
        chooser.start()
        chooser.join(timeout=1)  # it ends here only without the lock
    chooser.join()
    with scope(brand):
        assert Lead.objects.get(id=lead.id).category == 7
        category: int | None = CampaignLead.objects.get(campaign=autumn, lead_id=lead.id).category
    return category


def test_a_category_reaches_the_place_that_a_merge_is_making(many: tuple[Any, Any]) -> None:
    assert category_beside_a_merge(*many) == 7


def test_without_the_ingest_lock_that_place_keeps_the_category_from_before(
    many: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "hold_ingest", lambda _: None)
    assert category_beside_a_merge(*many) is None


def test_a_worker_whose_lease_ran_out_writes_nothing_more(many: tuple[Any, Any]) -> None:
    brand, owner = many
    with scope(brand):
        job = begin(brand, owner, What.TAG, tag="hot")
        [slow] = claim(BulkJob.objects.filter(pk=job.pk), seconds=60)
        BulkJob.objects.update(lease_until=datetime(2020, 1, 1, tzinfo=UTC))
    stride.stride(brand.pk, job.pk)
    with pytest.raises(stride.LeaseLost), scope(brand):
        stride.step(slow)
    once_each(brand, job, 900)


def test_without_the_lease_a_late_worker_would_count_wrong(
    stocked: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = begin(stocked, owner, What.TAG, tag="hot")
    [slow] = claim(BulkJob.objects.filter(pk=job.pk), seconds=60)
    assert stride.step(slow)
    slow.refresh_from_db()
    BulkJob.objects.update(lease_until=datetime(2020, 1, 1, tzinfo=UTC))
    some_batches(job, 3)
    with pytest.raises(stride.LeaseLost):
        stride.step(slow)
    monkeypatch.setattr(stride, "hold", lambda row: row)
    assert stride.step(slow)
    job.refresh_from_db()
    assert (job.seen, job.position, len(tagged("hot"))) == (
        7,
        min(ids_of(tagged("hot")))[0] + 6,
        21,
    )


def ids_of(emails: set[str]) -> list[tuple[int]]:
    return list(Lead.objects.filter(email__in=emails).values_list("id"))


def test_a_batch_that_dies_leaves_nothing_and_the_sweep_goes_on(
    many: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    brand, owner = many
    monkeypatch.setattr(stride, "BATCH", dict.fromkeys(What, 200))
    with scope(brand):
        job = begin(brand, owner, What.TAG, tag="hot")
    real, calls = stride._progress, []

    def dies(row: Any, **fields: Any) -> bool:
        calls.append(fields)
        if len(calls) == 3:
            raise MemoryError
        return real(row, **fields)

    monkeypatch.setattr(stride, "_progress", dies)
    with pytest.raises(MemoryError):
        stride.stride(brand.pk, job.pk)
    with scope(brand):
        job.refresh_from_db()
        assert (job.seen, LeadTag.objects.count()) == (200, 200)
        past = timezone.now() - timedelta(minutes=2)
        BulkJob.objects.update(lease_until=past, due_at=past)
    woken: list[tuple[Any, ...]] = []
    monkeypatch.setattr(stride, "wake", lambda *args: woken.append(args))
    assert stride.sweep() == 1
    assert woken == [("leads.work.stride", brand.pk, job.pk)]
    stride.stride(brand.pk, job.pk)
    once_each(brand, job, 900)
