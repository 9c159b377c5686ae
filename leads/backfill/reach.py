"""How far back messages are fetched: of leads that were active within the plan's history (ADR 15).

A lead was active in a campaign when it joined it, or when a mail, an open, a click or a reply came
after that. Joining stands in every row; what came after is asked of SmartLead, campaign by campaign
(cursors of kind `active`), and raises `last_activity_at` to the moment that was asked about.
`active_from` keeps how far back that was, so that a plan with a longer history has it asked again.

Threads that are left out stay due, and nothing that was fetched is deleted: the next run of a plan
that reaches further finds them.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from billing import entitlements
from leads.models import Backfill, Campaign, CampaignLead, Cursor

NEVER_TILL = datetime(1970, 1, 2, tzinfo=UTC)  # `history_at` of threads that were never fetched
Kind = Cursor.Kind


def since(row: Backfill) -> datetime | None:
    """Return the moment since which a lead must have been active for the run to fetch its messages;
    None: whenever. As the plan is now, counted from the start of the run: it does not move on with
    the clock. In the brand's scope."""
    began = row.started_at or timezone.now()
    return entitlements.of(row.brand_id).history_from(began)


def begin(row: Backfill) -> None:
    """Have a backfill that starts ask who was active, if the plan asks for it. In the transaction
    of the start; replaces what its plan assumed."""
    reach = since(row)
    cursors = Cursor.objects.filter(backfill=row, kind=Kind.ACTIVE)
    if reach is None:
        cursors.delete()
        return
    cursors.update(since=reach)
    read = Cursor.objects.filter(backfill=row, kind=Kind.LEADS).select_related("campaign")
    Cursor.objects.bulk_create(
        [cursor(row, each.campaign, reach) for each in read if each.campaign],
        ignore_conflicts=True,
    )


def cursor(row: Backfill, campaign: Campaign, reach: datetime, total: int | None = None) -> Cursor:
    """Return a cursor over the campaign's leads that were active since `reach`, not saved."""
    return Cursor(backfill=row, campaign=campaign, kind=Kind.ACTIVE, since=reach, total=total)


def unknown(campaign: Campaign, reach: datetime) -> bool:
    """Tell whether leads of the campaign may have been active since `reach` without our knowing:
    it was never asked, not that far back, or not asked for updates for longer than that."""
    asked, told = campaign.active_from, campaign.events_at
    return asked is None or asked > reach or told is None or told < reach


def settled(done: QuerySet[Cursor]) -> None:
    """Keep how far back the campaigns of these cursors, of one run, were asked."""
    asked = done.filter(kind=Kind.ACTIVE)
    first = asked.first()
    if first is not None:
        shorter = Q(active_from=None) | Q(active_from__gt=first.since)
        campaigns = Campaign.objects.filter(shorter, pk__in=asked.values("campaign_id"))
        campaigns.update(active_from=first.since)


def threads(row: Backfill, leads: int) -> int:
    """Estimate how many of the run's `leads` get their messages fetched: those that SmartLead says
    were active, where it has been asked about all campaigns."""
    asked = Cursor.objects.filter(backfill=row, kind=Kind.ACTIVE)
    if not asked.exists() or asked.filter(total=None).exists():
        return leads
    return min(leads, int(asked.aggregate(n=Sum("total"))["n"] or 0))


def leaves_out(brand_id: int, lead_id: int) -> bool:
    """Tell whether the plan, as it is now, keeps a thread of the lead at SmartLead that was never
    fetched."""
    reach = entitlements.of(brand_id).history_from(timezone.now())
    if reach is None:
        return False
    places = CampaignLead.objects.filter(brand_id=brand_id, lead_id=lead_id)
    return places.filter(history_at__lt=NEVER_TILL, last_activity_at__lt=reach).exists()
