"""Commit what came of a handful of jobs: rows, cursors, counters and pace, in one transaction.

The transaction begins by holding the backfill's row, so a worker that lost its lease, or whose run
was paused meanwhile, writes nothing. Committing the same answers twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from leads import sources
from leads.backfill import progress, reach, tail, whole
from leads.backfill.fetch import Result
from leads.backfill.jobs import GIVE_UP, AllJob, CampaignsJob, CategoriesJob, HistoryJob, PageJob
from leads.ingest import leads, messages, rejections
from leads.ingest.rows import BadRow, Merged, Parsed, Thread
from leads.ingest.staging import run
from leads.models import Backfill, Campaign, CampaignLead, Cursor
from leads.smartlead.client import PAGE
from leads.smartlead.errors import Empty, Missing, Unwanted
from leads.smartlead.parse import AllPage, CampaignInfo, History
from saas.leases import hold
from saas.tenancy import scope

NOTHING = Merged()
TRIES = 12  # of a page, while SmartLead answers other calls
REWINDS = 20
MISSING_COSTS = 3  # tries; "no such thing" is rarely a fault

HAPPENED = f"""
UPDATE leads_campaignlead c SET history_at = '{leads.NEVER}',
  last_activity_at = greatest(c.last_activity_at, %(since)s) FROM leads_lead l
WHERE l.brand_id = %(brand)s AND l.email = ANY(%(emails)s)
  AND c.brand_id = %(brand)s AND c.campaign_id = %(campaign)s AND c.lead_id = l.id"""  # noqa: S608

ACTIVE = """
UPDATE leads_campaignlead c SET last_activity_at = %(since)s FROM leads_lead l
WHERE l.brand_id = %(brand)s AND l.email = ANY(%(emails)s)
  AND c.brand_id = %(brand)s AND c.campaign_id = %(campaign)s AND c.lead_id = l.id
  AND c.last_activity_at < %(since)s"""

REPLIED = """
UPDATE leads_campaignlead c SET history_rank = 0 FROM leads_lead l
WHERE l.brand_id = %(brand)s AND l.email = ANY(%(emails)s)
  AND c.brand_id = %(brand)s AND c.campaign_id = %(campaign)s AND c.lead_id = l.id
  AND c.history_rank > 0"""


@dataclass(frozen=True, slots=True)
class Delta:
    """What jobs add to the counters of their run."""

    leads: Merged = NOTHING
    messages: Merged = NOTHING
    rejected: int = 0
    histories: int = 0

    def __add__(self, other: Delta) -> Delta:
        return Delta(
            self.leads + other.leads,
            self.messages + other.messages,
            self.rejected + other.rejected,
            self.histories + other.histories,
        )

    @property
    def refusal(self) -> str | None:
        return self.leads.refusal

    @property
    def leads_read(self) -> int:
        """Leads that the cursors moved past: what was refused in part is read again later."""
        return 0 if self.refusal else self.leads.seen


class Stopped(Exception):
    """The run was paused, cancelled or parked by somebody else."""


def commit(backfill: Backfill, results: Sequence[Result], *, lease: float) -> Delta:
    """Commit the results and renew the lease by `lease` seconds; raise LeaseLost or Stopped.

    A failure counts against its job only when SmartLead answered another call of the handful.
    """
    answered = any(result.error is None for result in results)
    with scope(backfill.brand_id):
        row = hold(backfill)
        if row.state not in Backfill.CARRIED:
            raise Stopped
        delta = _histories(row, results) + _pages(row, results)
        for result in results:
            if result.error is None:
                delta += _done(row, result)
            else:
                delta += _failed(row, result, alive=answered)
        _count(row, delta, results, lease=lease)
    return delta


def _done(row: Backfill, result: Result) -> Delta:
    match result.job, result.value:
        case CampaignsJob(), found:
            spared = _compare(row, found)
            if not row.has_campaigns:
                tail.open_cursors(row, found)
            return Delta(histories=spared)
        case CategoriesJob(), found:
            sources.save_categories(row.brand_id, found)
            row.has_categories = True
            return Delta()
        case AllJob() as job, AllPage() as listed:
            merged, bad = whole.done(row, job, listed, asked_at=result.asked_at)
            known = [] if merged.refusal else bad
            return Delta(leads=merged, rejected=_reject(row, "leads", known, None))
        case (PageJob(), Parsed()) | (HistoryJob(), History()):
            return Delta()  # merged together, by _pages and _histories
    raise AssertionError(result.job)


def _pages(row: Backfill, results: Sequence[Result]) -> Delta:
    """Merge the pages of leads in one go, and move their cursors unless billing held leads back."""
    delta = Delta()
    cursors: dict[int, Cursor] = {}
    wanted: list[tuple[PageJob, Parsed]] = []
    for result in results:
        match result.job, result.value:
            case PageJob() as job, Parsed() as page:
                behind = PAGE * sum(each.cursor_id == job.cursor_id for each, _ in wanted)
                cursor = cursors.get(job.cursor_id) or _cursor(job)
                if cursor is None or cursor.position + behind != job.offset:
                    continue  # it moved meanwhile: the page is not wanted any more
                cursors[job.cursor_id] = cursor
                if not page.rows and not page.bad and job.offset < (page.total or 0):
                    delta += _failed(row, Result(job, error=Empty()), alive=True)
                elif job.kind == Cursor.Kind.ACTIVE:
                    _for_leads(ACTIVE, row, job, page)
                    _move(cursor, page)
                    cursor.save()
                elif job.kind != Cursor.Kind.REPLIED:
                    wanted.append((job, page))
                elif row.kind == Backfill.Kind.SYNC:
                    wanted.append((job, _replied(page)))
                else:
                    _for_leads(REPLIED, row, job, page)
                    _move(cursor, page)
                    cursor.save()
    asked_at = min((result.asked_at for result in results), default=None)
    return delta + _merge(row, wanted, cursors, asked_at)


def _merge(
    row: Backfill,
    wanted: list[tuple[PageJob, Parsed]],
    cursors: dict[int, Cursor],
    asked_at: datetime | None,
) -> Delta:
    batches = [(job.campaign_id, page.rows) for job, page in wanted]
    merged = leads.merge_all(brand_id=row.brand_id, batches=batches, as_of=asked_at)
    delta, moved = Delta(leads=merged), dict[int, Cursor]()
    for job, page in wanted:
        if job.kind == Cursor.Kind.EVENTS:
            _for_leads(HAPPENED, row, job, page)
        # What has new leads in it is asked for again; what is of known ones is done with.
        if merged.refusal and job.kind in (Cursor.Kind.LEADS, Cursor.Kind.CREATED):
            continue
        delta += Delta(rejected=_reject(row, "leads", page.bad, job.campaign_id))
        cursor = cursors[job.cursor_id]
        if cursor.position == job.offset:
            _move(cursor, page)
            moved[cursor.pk] = cursor
    for cursor in moved.values():
        cursor.save()
    return delta


def _replied(page: Parsed) -> Parsed:
    return replace(page, rows=[replace(lead, replied=True) for lead in page.rows])


def _for_leads(sql: str, row: Backfill, job: PageJob, page: Parsed) -> None:
    emails = [lead.email for lead in page.rows]
    params = {"brand": row.brand_id, "campaign": job.campaign_id, "since": job.since}
    run(sql, {**params, "emails": emails})


def _cursor(job: PageJob) -> Cursor | None:
    return Cursor.objects.filter(pk=job.cursor_id, state=Cursor.State.OPEN).first()


def _move(cursor: Cursor, page: Parsed) -> None:
    """Move past the page, or back by what vanished from the campaign, whose pages have shifted.
    Saves nothing."""
    vanished = (cursor.total or 0) - (page.total or 0) if page.total is not None else 0
    if vanished > 0 and cursor.rewinds < REWINDS:
        cursor.position = max(0, cursor.position - -(-vanished // PAGE) * PAGE)
        cursor.rewinds += 1
    else:
        cursor.position += PAGE
    cursor.total = page.total
    cursor.failures = 0
    empty = not page.rows and not page.bad
    if empty if page.total is None else cursor.position >= page.total:
        cursor.state = Cursor.State.DONE


def _histories(row: Backfill, results: Sequence[Result]) -> Delta:
    """Merge the threads, one merge a campaign."""
    delta = Delta()
    threads: dict[int, list[Thread]] = {}
    for result in results:
        match result.job, result.value:
            case HistoryJob() as job, History() as history:
                thread = Thread(job.lead_id, tuple(history.messages))
                threads.setdefault(job.campaign_id, []).append(thread)
                rejected = _reject(row, "messages", history.bad, job.campaign_id)
                delta += Delta(rejected=rejected, histories=1)
    for campaign_id, found in threads.items():
        merged = messages.merge(
            brand_id=row.brand_id,
            campaign_id=campaign_id,
            threads=found,
            fetched_at=timezone.now(),
        )
        delta += Delta(messages=merged)
    return delta


def _compare(row: Backfill, found: list[CampaignInfo]) -> int:
    """Settle campaigns that SmartLead no longer lists; return how many threads that spares.

    An empty list proves nothing. What we have of a deleted campaign stays.
    """
    if not found:
        return 0
    listed = {info.remote_id for info in found}
    gone = [
        campaign.pk
        for campaign in Campaign.objects.filter(connection_id=row.connection_id)
        if campaign.remote_id not in listed
    ]
    if not gone:
        return 0
    Campaign.objects.filter(pk__in=gone).update(status="DELETED")
    Cursor.objects.filter(backfill=row, campaign_id__in=gone, state=Cursor.State.OPEN).update(
        state=Cursor.State.GONE
    )
    due = CampaignLead.objects.filter(campaign_id__in=gone, history_at__lt=row.history_since)
    since = reach.since(row)
    if since is not None:
        due = due.filter(last_activity_at__gte=since)
    return due.update(history_at=timezone.now())


def _failed(row: Backfill, result: Result, *, alive: bool) -> Delta:
    """Count the failure against its job, and give up on what never works; else change nothing."""
    if not alive:
        return Delta()
    match result.job:
        case AllJob() as job if result.error is not None:
            whole.failed(job, result.error)
        case PageJob() as job:
            return _page_failed(row, job, result)
        case HistoryJob() as job:
            return _history_failed(row, job, result)
        case CategoriesJob() if isinstance(result.error, Unwanted | Missing):
            row.has_categories = True  # the usual names stand in
    return Delta()


def _page_failed(row: Backfill, job: PageJob, result: Result) -> Delta:
    cursor = _cursor(job)
    if cursor is None or cursor.position != job.offset:
        return Delta()
    cursor.failures += 1
    rejected = 0
    if job.kind in (Cursor.Kind.REPLIED, Cursor.Kind.ACTIVE) and (
        isinstance(result.error, Unwanted) or cursor.failures >= TRIES
    ):
        # Only the order of the messages suffers; who was active is asked again by the next sync.
        cursor.state = Cursor.State.SKIPPED
    elif cursor.failures >= TRIES:
        bad = BadRow(
            "page_unreadable",
            f"SmartLead never answered for leads {job.offset + 1} to {job.offset + PAGE}.",
            f"campaign {job.remote_id}, offset {job.offset}",
        )
        rejected = _reject(row, "leads", [bad], job.campaign_id)
        cursor.position += PAGE
        cursor.failures = 0
        if cursor.total is None or cursor.position >= cursor.total:
            cursor.state = Cursor.State.SKIPPED
    cursor.save()
    return Delta(rejected=rejected)


def _history_failed(row: Backfill, job: HistoryJob, result: Result) -> Delta:
    places = CampaignLead.objects.filter(campaign_id=job.campaign_id, lead_id=job.lead_id)
    place = places.first()
    if place is None:
        return Delta()
    cost = MISSING_COSTS if isinstance(result.error, Missing | Empty) else 1
    rank = max(place.history_rank, 3) + cost
    if rank < GIVE_UP:
        places.update(history_rank=rank)
        return Delta()
    places.update(history_rank=3, history_at=timezone.now())
    bad = BadRow(
        "messages_unreadable",
        "SmartLead never answered for the messages of this lead.",
        f"campaign {job.remote_id}, lead {job.remote_lead_id}",
    )
    return Delta(rejected=_reject(row, "messages", [bad], job.campaign_id), histories=1)


def _reject(row: Backfill, source: str, bad: list[BadRow], campaign_id: int | None) -> int:
    return rejections.record(
        brand_id=row.brand_id,
        source=source,
        bad=bad,
        campaign_id=campaign_id,
        backfill_id=row.pk,
    )


def _count(row: Backfill, delta: Delta, results: Sequence[Result], *, lease: float) -> None:
    now = timezone.now()
    errors = [result.error for result in results if result.error is not None]
    failed = len(errors) == len(results)
    Backfill.objects.filter(pk=row.pk).update(
        calls=F("calls") + len(results),
        leads_seen=F("leads_seen") + delta.leads_read,
        leads_new=F("leads_new") + delta.leads.new,
        leads_changed=F("leads_changed") + delta.leads.changed,
        messages_new=F("messages_new") + delta.messages.new,
        rejected=F("rejected") + delta.rejected,
        history_done=F("history_done") + delta.histories,
        has_categories=row.has_categories,
        has_campaigns=row.has_campaigns,
        last_error=str(getattr(errors[-1], "detail", "") or errors[-1])[:300] if failed else "",
        lease_until=now + timedelta(seconds=lease),
        **({} if failed else {"attempts": 0, "pushbacks": 0}),
    )
    progress.add(row, now, calls=len(results), leads=delta.leads_read, messages=delta.messages.seen)
