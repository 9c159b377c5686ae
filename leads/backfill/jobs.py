"""What a backfill should fetch next. Each job is one call; PostgreSQL's rows are the queue.

Leads come first, campaign by campaign; then the pages of who was active within the plan's history
and of who replied, which only choose and order the queue; then messages, those of the most active
first. Failed work goes to the end of its queue. A sync asks for the campaigns before anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from leads.backfill import reach
from leads.models import Backfill, Cursor
from leads.smartlead.client import PAGE, moment

PAGED = (
    Cursor.Kind.LEADS,
    Cursor.Kind.CREATED,
    Cursor.Kind.EVENTS,
    Cursor.Kind.ACTIVE,
    Cursor.Kind.REPLIED,
)
RANKS = 16  # 0 to 3 as ingested, then one more for each failed try
GIVE_UP = RANKS

# Rank by rank, each a range of the index; LATERAL stops at the limit. Ordering all ranks at once
# would walk over everything that was fetched already.
DUE = """
SELECT d.campaign_id, k.remote_id, d.lead_id, d.remote_lead_id
FROM generate_series(0, %(ranks)s) AS r(rank), LATERAL (
  SELECT c.campaign_id, c.lead_id, c.remote_lead_id, c.history_at FROM leads_campaignlead c
  WHERE c.brand_id = %(brand)s AND c.history_rank = r.rank AND c.history_at < %(since)s
  ORDER BY c.history_at LIMIT %(limit)s) AS d
JOIN leads_campaign k ON k.brand_id = %(brand)s AND k.id = d.campaign_id
LIMIT %(limit)s"""

# Campaign by campaign, each a range of the index by activity. It walks over what was fetched
# already, but never over what the plan leaves out, and such plans have few enough leads (ADR 15).
DUE_WITHIN = """
SELECT d.campaign_id, k.remote_id, d.lead_id, d.remote_lead_id
FROM leads_campaign k, LATERAL (
  SELECT c.campaign_id, c.lead_id, c.remote_lead_id, c.history_rank, c.history_at
  FROM leads_campaignlead c
  WHERE c.brand_id = %(brand)s AND c.campaign_id = k.id AND c.last_activity_at >= %(reach)s
    AND c.history_rank <= %(ranks)s AND c.history_at < %(since)s
  ORDER BY c.history_rank, c.history_at LIMIT %(limit)s) AS d
WHERE k.brand_id = %(brand)s ORDER BY d.history_rank, d.history_at LIMIT %(limit)s"""

COUNT_DUE = """
SELECT count(*) FROM leads_campaignlead c
WHERE c.brand_id = %(brand)s AND c.history_rank = ANY(%(ranks)s) AND c.history_at < %(since)s
  AND (%(reach)s::timestamptz IS NULL OR c.last_activity_at >= %(reach)s)"""


@dataclass(frozen=True, slots=True)
class CampaignsJob:
    """List the campaigns: tells a deleted one from a fault, and a silent SmartLead from both."""


@dataclass(frozen=True, slots=True)
class CategoriesJob:
    """Fetch the categories."""


@dataclass(frozen=True, slots=True)
class AllJob:
    """Fetch a page of the account's whole list, below the lead id `below` (0: its top)."""

    cursor_id: int
    below: int


@dataclass(frozen=True, slots=True)
class PageJob:
    """Fetch a page of a campaign's leads, or of those that the kind of cursor is about."""

    cursor_id: int
    campaign_id: int
    remote_id: int
    offset: int
    kind: str = Cursor.Kind.LEADS
    since: datetime | None = None

    @property
    def filters(self) -> dict[str, Any]:
        """What SmartLead calls it."""
        since = moment(self.since) if self.since else ""
        match self.kind:
            case Cursor.Kind.REPLIED:
                return {"emailStatus": "is_replied"}
            case Cursor.Kind.CREATED:
                return {"created_at_gt": since}
            case Cursor.Kind.EVENTS | Cursor.Kind.ACTIVE:
                return {"event_time_gt": since}
        return {}


@dataclass(frozen=True, slots=True)
class ExportJob:
    """Stream a whole campaign, from row `position` on: one call, by leads.backfill.export."""

    cursor_id: int
    campaign_id: int
    remote_id: int
    total: int | None


@dataclass(frozen=True, slots=True)
class HistoryJob:
    """Fetch the messages of a lead in a campaign."""

    campaign_id: int
    remote_id: int
    lead_id: int
    remote_lead_id: int


Job = CampaignsJob | CategoriesJob | AllJob | PageJob | HistoryJob  # made by the handful


def choose_export(backfill: Backfill) -> ExportJob | None:
    """Return the next campaign to stream, the smallest first; None when none is left.

    Exports name categories, so those come first. Call inside the brand's scope. Reads only.
    """
    if backfill.phase != Backfill.Phase.LEADS or backfill.full or not backfill.has_categories:
        return None
    cursor = (
        Cursor.objects.filter(
            backfill=backfill, state=Cursor.State.OPEN, source=Cursor.Source.EXPORT
        )
        .select_related("campaign")
        .order_by("failures", F("total").asc(nulls_last=True), "id")
        .first()
    )
    if cursor is None or cursor.campaign is None:
        return None
    return ExportJob(cursor.pk, cursor.campaign.pk, cursor.campaign.remote_id, cursor.total)


def choose(backfill: Backfill, limit: int) -> list[Job]:
    """Return the next jobs, at most `limit`; none when nothing is left of what may be done.

    Call inside the brand's scope. Reads only.
    """
    if backfill.phase == Backfill.Phase.LEADS and not backfill.full:
        jobs: list[Job] = [] if backfill.has_categories else [CategoriesJob()]
        if not backfill.has_campaigns:
            return [*jobs, CampaignsJob()]
        whole = _open(backfill, Cursor.Kind.ALL).first()
        if whole is not None:  # each page names the next, so one at a time
            return [*jobs, AllJob(whole.pk, whole.position)][:limit]
        for kind in PAGED:
            for page in _pages(backfill, kind):
                if len(jobs) >= limit:
                    break
                jobs.append(page)
            if jobs:
                return jobs[:limit]
    if backfill.phase == Backfill.Phase.HISTORY or backfill.full:
        return list(_due(backfill, limit))
    return []


def count_due(backfill: Backfill) -> int:
    """Count the leads within the plan's history whose messages are still to be fetched."""
    with connection.cursor() as cursor:
        cursor.execute(
            COUNT_DUE,
            {**_due_params(backfill), "ranks": [*range(RANKS)]},
        )
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def since(backfill: Backfill) -> datetime:
    return backfill.history_since or timezone.now()


def _open(backfill: Backfill, kind: Cursor.Kind) -> QuerySet[Cursor]:
    """The cursors of this kind that pages are still wanted for."""
    return Cursor.objects.filter(
        backfill=backfill, kind=kind, state=Cursor.State.OPEN, source=Cursor.Source.PAGES
    )


def _pages(backfill: Backfill, kind: Cursor.Kind) -> Iterator[PageJob]:
    cursors = _open(backfill, kind).select_related("campaign").order_by("failures", "id")
    for cursor in cursors[:20]:
        if cursor.campaign is None:
            continue
        # A first page and a failed one go alone: nobody knows yet what lies behind them.
        alone = cursor.total is None or cursor.failures > 0
        known = 0 if alone else cursor.total or 0
        for offset in range(cursor.position, max(known, cursor.position + 1), PAGE):
            yield PageJob(
                cursor_id=cursor.pk,
                campaign_id=cursor.campaign.pk,
                remote_id=cursor.campaign.remote_id,
                offset=offset,
                kind=kind,
                since=cursor.since,
            )


def _due_params(backfill: Backfill) -> dict[str, Any]:
    return {
        "brand": backfill.brand_id,
        "since": since(backfill),
        "reach": reach.since(backfill),
    }


def _due(backfill: Backfill, limit: int) -> Iterator[HistoryJob]:
    with connection.cursor() as cursor:
        params = {**_due_params(backfill), "ranks": RANKS - 1, "limit": limit}
        cursor.execute(DUE if params["reach"] is None else DUE_WITHIN, params)
        for campaign_id, remote_id, lead_id, remote_lead_id in cursor.fetchall():
            yield HistoryJob(campaign_id, remote_id, lead_id, remote_lead_id)
