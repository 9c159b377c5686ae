"""Leads of the demo: from the generator behind the SmartLead stand-in, through the ingest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

from django.utils import timezone

from accounts.models import Brand, User
from billing import entitlements
from leads import connections, sources
from leads.backfill import control, plan, tail
from leads.hooks import address
from leads.ingest import leads as lead_ingest
from leads.ingest import messages
from leads.ingest.rows import LeadRow, Thread
from leads.models import Backfill, Campaign, CampaignLead, Connection, Cursor
from leads.smartlead import parse
from saas.tenancy import scope
from sandbox.smartlead import shapes
from sandbox.smartlead.account import Campaign as Source
from sandbox.smartlead.account import options_from_key
from sandbox.smartlead.book import Book, Wanted
from sandbox.smartlead.threads import history_entry

THREADS = 150  # of a campaign; replies first, as a backfill goes


def connect_and_start(brand: Brand, owner: User, *, key: str) -> None:
    """Connect and start a backfill; the workers carry it on when they are up."""
    connections.connect(brand_id=brand.pk, api_key=key, actor=owner)
    planned = plan.make(brand_id=brand.pk, actor=owner)
    control.start(brand_id=brand.pk, backfill_id=planned.pk, actor=owner)


def fill(brand: Brand, owner: User, *, key: str, count: int) -> None:
    """Connect, bring in the account's leads and many of its threads at once, and have SmartLead
    tell of what happens from now on."""
    connections.connect(brand_id=brand.pk, api_key=key, actor=owner)
    address.turn_on(brand_id=brand.pk, actor=owner)
    address.manage(brand_id=brand.pk, actor=owner)
    book = Book(options_from_key(key))
    with scope(brand):
        connection = Connection.objects.get()
        infos = parse.campaigns(
            [shapes.campaign(book.account, c, tags=False) for c in book.campaigns()]
        )
        campaigns = sources.save_campaigns(connection, infos)
        sources.save_categories(brand.pk, parse.categories(shapes.categories()))
    brought = _Brought()
    for campaign, source in zip(campaigns, book.campaigns(), strict=True):
        rows = _rows(book, source)
        merged = lead_ingest.stream(brand_id=brand.pk, campaign_id=campaign.pk, rows=rows)
        brought.leads += merged.new
        brought.sizes.append(len(book.rows(source, Wanted())))
        brought.mails += _threads(brand, campaign, book, source)
    with scope(brand):
        _finished(connection, owner, campaigns, brought, planned=count)


@dataclass
class _Brought:
    """What came in, and how many leads each campaign has."""

    leads: int = 0
    mails: int = 0
    sizes: list[int] = field(default_factory=list)


def _finished(
    connection: Connection,
    owner: User,
    campaigns: list[Campaign],
    brought: _Brought,
    *,
    planned: int,
) -> None:
    """Save the run that would have brought it, with the calls and the time that it takes."""
    threads = sum(min(size, THREADS) for size in brought.sizes)
    price = plan.cost(brought.sizes, calls_per_minute=connection.calls_per_minute, fetched=threads)
    ended = timezone.now()
    backfill = Backfill.objects.create(
        connection=connection,
        requested_by=owner,
        state=Backfill.State.FINISHED,
        phase=Backfill.Phase.DONE,
        planned_campaigns=len(campaigns),
        planned_leads=planned,
        planned_calls=price.calls,
        planned_seconds=price.seconds,
        calls=price.calls,
        leads_seen=brought.leads,
        leads_new=brought.leads,
        messages_new=brought.mails,
        history_total=threads,
        history_done=threads,
        started_at=ended - timedelta(seconds=price.seconds),
        ended_at=ended,
    )
    for campaign, size in zip(campaigns, brought.sizes, strict=True):
        Cursor.objects.create(
            backfill=backfill,
            campaign=campaign,
            state=Cursor.State.DONE,
            position=size,
            total=size,
        )
    tail.settled(backfill)


def _rows(book: Book, source: Source) -> Iterator[LeadRow]:
    found = book.rows(source, Wanted())
    for position in found.page(0, len(found)):
        row = shapes.lead_row(book, book.standing(source, position))
        yield from parse.lead_page({"total_leads": "1", "data": [row]}).rows


def _threads(brand: Brand, campaign: Campaign, book: Book, source: Source) -> int:
    done = 0
    with scope(brand):
        places = CampaignLead.objects.filter(campaign=campaign).order_by(
            "history_rank", "-last_activity_at"
        )
        since = entitlements.of(brand.pk).history_from(timezone.now())
        if since is not None:
            places = places.filter(last_activity_at__gte=since)
        wanted = list(places.values_list("lead_id", "remote_lead_id")[:THREADS])
        threads = (_thread(book, source, lead, remote) for lead, remote in wanted)
        while batch := list(islice(threads, 200)):
            merged = messages.merge(
                brand_id=brand.pk,
                campaign_id=campaign.pk,
                threads=batch,
                fetched_at=timezone.now(),
            )
            done += merged.new
    return done


def _thread(book: Book, source: Source, lead_id: int, remote_id: int) -> Thread:
    number = book.account.lead_number(remote_id)
    position = None if number is None else source.position_of(number)
    if position is None:
        return Thread(lead_id, ())
    standing = book.standing(source, position)
    entries = [history_entry(message) for message in book.thread(standing)]
    found = parse.history(
        {"history": entries, "from": "sales@example.test", "to": book.person(standing).email}
    )
    return Thread(lead_id, tuple(found.messages))
