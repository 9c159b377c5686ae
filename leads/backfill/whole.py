"""The account's whole list of leads: a thousand a call, where exports don't work.

Newest first by lead id, each with the campaigns it is in. When it is through, a campaign whose
places we all hold is done; one with fewer than SmartLead counts goes on by its own pages. The list
is undocumented, so whatever is wrong with it leads to the pages.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from django.db.models import Count, Sum

from leads.backfill.jobs import AllJob
from leads.ingest import leads
from leads.ingest.rows import BadRow, LeadRow, Merged
from leads.models import Backfill, Campaign, CampaignLead, Cursor
from leads.smartlead.client import ALL_PAGE, PAGE
from leads.smartlead.errors import Missing, Unwanted
from leads.smartlead.parse import AllPage
from saas.errors import HarborError

TRIES = 3
State, Kind = Cursor.State, Cursor.Kind


def begin(row: Backfill) -> None:
    """Read the whole list first, if that takes fewer calls than the pages that are left."""
    left = Cursor.objects.filter(backfill=row, kind=Kind.LEADS, state=State.OPEN)
    total = left.aggregate(n=Sum("total"))["n"] or row.planned_leads
    if total / ALL_PAGE + 1 < max(total / PAGE, left.count()):
        Cursor.objects.get_or_create(backfill=row, campaign=None, kind=Kind.ALL)


def done(
    row: Backfill, job: AllJob, page: AllPage, *, asked_at: datetime
) -> tuple[Merged, list[BadRow]]:
    """Merge a page and move the cursor, in the caller's transaction, which holds the run."""
    cursor = Cursor.objects.filter(pk=job.cursor_id, position=job.below, state=State.OPEN).first()
    if cursor is None:
        return Merged(), []
    merged = leads.merge_all(brand_id=row.brand_id, batches=_batches(row, page), as_of=asked_at)
    if merged.refusal is None:
        cursor.failures = 0
        if page.last is None or page.last == cursor.position:
            cursor.state = State.DONE
            _settle(row)
        else:
            cursor.position = page.last
        cursor.save()
    return merged, page.bad


def failed(job: AllJob, error: HarborError) -> None:
    """Count the failure; leave the list for the pages where another try is no use."""
    cursor = Cursor.objects.filter(pk=job.cursor_id, state=State.OPEN).first()
    if cursor is None:
        return
    cursor.failures += 1
    if isinstance(error, Unwanted | Missing) or cursor.failures >= TRIES:
        cursor.state = State.SKIPPED
    cursor.save()


def _batches(row: Backfill, page: AllPage) -> list[tuple[int | None, list[LeadRow]]]:
    """The rows by our campaigns; those of a campaign that came after the plan wait for a sync."""
    ours = dict(
        Campaign.objects.filter(connection_id=row.connection_id).values_list("remote_id", "pk")
    )
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for remote_id, lead in page.rows:
        if remote_id in ours:
            found[ours[remote_id]].append(lead)
    return list(found.items())


def _settle(row: Backfill) -> None:
    """Close the cursors of the campaigns that are complete."""
    held = dict(
        CampaignLead.objects.filter(brand_id=row.brand_id)
        .values_list("campaign_id")
        .annotate(n=Count("lead_id"))
    )
    for cursor in Cursor.objects.filter(backfill=row, kind=Kind.LEADS, state=State.OPEN):
        if cursor.total is not None and held.get(cursor.campaign_id, 0) >= cursor.total:
            cursor.position, cursor.state = cursor.total, State.DONE
            cursor.save()
