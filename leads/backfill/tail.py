"""How far each campaign was read, and what a sync asks for from there on.

A campaign keeps two moments: leads added before `leads_at` and events before `events_at` are here.
A sync asks for what came after, OVERLAP earlier: neither the clocks nor SmartLead's indexes need to
agree to the second. They move only with a finished run, so what a run leaves out, the next asks for
again. Events' leads get their threads fetched anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from billing import entitlements
from leads import sources
from leads.backfill import reach
from leads.hooks import remote
from leads.models import Backfill, Campaign, Connection, Cursor
from leads.smartlead.parse import CampaignInfo

OVERLAP = timedelta(minutes=10)
# Of all threads only those that were never fetched, or made due, are a sync's: history_at is 1970.
DUE_SINCE = reach.NEVER_TILL
# A category can be lost with its webhook and moves no event; nearly all are of leads that replied.
# A backfill reads them too.
JUDGED_EVERY = timedelta(days=1)

Kind, State = Cursor.Kind, Cursor.State


def open_cursors(row: Backfill, found: Sequence[CampaignInfo]) -> None:
    """Save the listed campaigns and open what the sync reads of each; new ones are read whole.

    An empty list proves nothing: then the known ones are read. With a plan that is full, new leads
    are not asked for. In the transaction that commits the list; safe to repeat.
    """
    sources.save_campaigns(row.connection, found)
    campaigns = Campaign.objects.filter(connection_id=row.connection_id)
    judge = _judge_all(row)
    room = entitlements.of(row.brand_id).leads_left > 0
    since = reach.since(row)
    Cursor.objects.bulk_create(
        [
            cursor
            for campaign in campaigns.exclude(status="DELETED").order_by("id")
            for cursor in _cursors(row, campaign, judge=judge, room=room, since=since)
        ],
        ignore_conflicts=True,
    )
    row.has_campaigns = True
    remote.want(row.brand_id)


def _cursors(
    row: Backfill, campaign: Campaign, *, judge: bool, room: bool, since: datetime | None
) -> Iterator[Cursor]:
    def pages(kind: Cursor.Kind, since: datetime | None) -> Cursor:
        return Cursor(
            backfill=row,
            campaign=campaign,
            kind=kind,
            source=Cursor.Source.PAGES,
            since=since and since - OVERLAP,
        )

    if room and campaign.leads_at is None:
        export = Cursor.Source.EXPORT
        yield Cursor(backfill=row, campaign=campaign, kind=Kind.LEADS, source=export)
    elif room:
        yield pages(Kind.CREATED, campaign.leads_at)
    if campaign.events_at is not None:
        yield pages(Kind.EVENTS, campaign.events_at)
        if judge:
            yield pages(Kind.REPLIED, None)
    known = room or campaign.events_at is not None
    if known and since is not None and reach.unknown(campaign, since):
        yield reach.cursor(row, campaign, since)


def _judge_all(row: Backfill) -> bool:
    """Tell whether it is time to look at the categories of all leads that replied."""
    lately = Cursor.objects.filter(
        kind=Kind.REPLIED,
        backfill__state=Backfill.State.FINISHED,
        backfill__started_at__gt=timezone.now() - JUDGED_EVERY,
    )
    return not lately.exclude(backfill=row).exists()


def leave_out(row: Backfill) -> None:
    """The plan is full: this sync reads no more new leads. The next one asks for them again."""
    Cursor.objects.filter(
        backfill=row, kind__in=(Kind.LEADS, Kind.CREATED), state=State.OPEN
    ).update(state=State.SKIPPED)


def settled(row: Backfill) -> None:
    """Move the moments of campaigns, and of the connection, to the start of a run that has ended,
    or that has nothing left to do but to wait for room in the plan. Never back.

    In the transaction that says so.
    """
    cursors = Cursor.objects.filter(backfill=row)
    done = cursors.filter(state=State.DONE)
    _move(row, "leads_at", done.filter(kind__in=(Kind.LEADS, Kind.CREATED)))
    _move(row, "events_at", done.filter(kind__in=(Kind.LEADS, Kind.EVENTS)))
    reach.settled(done)
    # Of a campaign that did not fit in whole, the leads that did are followed from now on.
    partly = cursors.filter(kind=Kind.LEADS, state__in=(State.OPEN, State.SKIPPED))
    campaigns = Campaign.objects.filter(pk__in=partly.values("campaign_id"), events_at=None)
    campaigns.update(events_at=row.started_at)
    connection = hold_connection(row)
    connection.synced_at = max(filter(None, (connection.synced_at, row.started_at)), default=None)
    if row.kind == Backfill.Kind.FULL:
        connection.sync_due_at = timezone.now() + timedelta(minutes=connection.sync_every)
    connection.save(update_fields=["synced_at", "sync_due_at"])


def hold_connection(row: Backfill) -> Connection:
    """Lock the run's connection until the commit. Whoever locks both locks it first."""
    held: Connection = Connection.objects.select_for_update(no_key=True).get(pk=row.connection_id)
    return held


def _move(row: Backfill, field: str, cursors: QuerySet[Cursor]) -> None:
    earlier = Q(**{field: None}) | Q(**{f"{field}__lt": row.started_at})
    campaigns = Campaign.objects.filter(earlier, pk__in=cursors.values("campaign_id"))
    campaigns.update(**{field: row.started_at})
