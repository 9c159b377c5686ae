"""The plan of a backfill, shown before its start: what there is, and what fetching it costs.

Few calls: the list of campaigns, and the sizes of at most COUNTED of them; the rest is estimated
from those. Where the plan's history is limited, also how many of their leads were active within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from accounts.models import User
from billing import entitlements
from leads import sources
from leads.backfill import control, reach
from leads.backfill.progress import ROWS_PER_SECOND
from leads.models import Backfill, Connection, Cursor
from leads.smartlead import client, parse
from leads.smartlead.client import moment
from leads.smartlead.gate import Gate
from leads.smartlead.gate import of as gate_of
from leads.smartlead.parse import CampaignInfo
from saas import audit
from saas.crypto import Sealed
from saas.errors import Refused
from saas.tenancy import scope

COUNTED = 10


@dataclass(frozen=True)
class Cost:
    """What a plan comes to. Pure arithmetic; `seconds` at the brand's limit.

    `page_calls` is what the leads take where SmartLead's exports don't work.
    """

    lead_calls: int
    page_calls: int
    message_calls: int
    lead_seconds: int
    message_seconds: int

    @property
    def calls(self) -> int:
        return self.lead_calls + self.message_calls

    @property
    def seconds(self) -> int:
        return self.lead_seconds + self.message_seconds


def cost(
    sizes: Sequence[int],
    *,
    calls_per_minute: int,
    fetched: int | None = None,
    active: Sequence[int] | None = None,
) -> Cost:
    """Count the calls for campaigns of these sizes: one export each, then one call a lead.

    `fetched` leads at most get their messages (what the plan admits); None: all of them. `active`:
    only those of each campaign that were active within the plan's history, found a page a call.
    """
    exports, leads = len(sizes) + 1, sum(sizes)
    messages = leads if fetched is None else min(leads, fetched)
    if active is not None:
        messages = min(messages, sum(active))
        exports += sum(max(-(-number // client.PAGE), 1) for number in active)
    pages = sum(max(-(-size // client.PAGE), 1) for size in sizes) + len(sizes) + 1
    return Cost(
        exports,
        pages,
        messages,
        round(max(exports * 60 / calls_per_minute, leads / ROWS_PER_SECOND)),
        round(messages * 60 / calls_per_minute),
    )


@dataclass(frozen=True)
class Active:
    """How many leads of the counted campaigns, by id, had an event since that moment."""

    since: datetime
    sizes: dict[int, int]


def sizes_of(known: dict[int, int], campaigns: int) -> list[int]:
    """Fill in the campaigns that were not counted with the average of those that were."""
    average = round(sum(known.values()) / len(known)) if known else 0
    return [*known.values(), *([average] * (campaigns - len(known)))]


def make(*, brand_id: int, actor: User | None) -> Backfill:
    """Ask SmartLead and save a planned backfill, in place of an earlier plan.

    Makes up to 2 * COUNTED + 1 calls, so no transaction may be open. Raises Refused with words when
    nothing is connected, a run is under way, or SmartLead can't be asked now.
    """
    with scope(brand_id):
        connection = _connection()
        since = entitlements.of(brand_id).history_from(timezone.now())
    gate = gate_of(connection)
    found = parse.campaigns(gate.call(lambda: client.campaigns(connection.api_key.reveal())))
    if not found:
        raise Refused("no_campaigns", "Your SmartLead account has no campaigns yet.")
    sizes = _count(gate, connection.api_key, _sample(found))
    asked = None
    if since is not None:
        asked = Active(since, _count(gate, connection.api_key, _sample(found), since))
    with scope(brand_id):
        control.make_way(brand_id, actor=actor)  # and the later of two plans replaces the earlier
        return _save(_connection(), found, sizes, asked, actor)


def _connection() -> Connection:
    connection: Connection | None = Connection.objects.first()
    if connection is None or not connection.usable:
        raise Refused("not_connected", "Connect SmartLead first.")
    run = control.live()
    if run and run.state != Backfill.State.PLANNED and run.kind != Backfill.Kind.SYNC:
        raise Refused("running", "A backfill is under way already.")
    return connection


def _sample(found: Sequence[CampaignInfo]) -> Sequence[CampaignInfo]:
    step = max(1, -(-len(found) // COUNTED))
    return found[::step]


def _count(
    gate: Gate, key: Sealed, campaigns: Sequence[CampaignInfo], since: datetime | None = None
) -> dict[int, int]:
    """Return the sizes of these campaigns by id, or how many of their leads had an event since;
    what can't be counted now is left out."""
    filters = {"event_time_gt": moment(since)} if since else {}

    def size(info: CampaignInfo) -> tuple[int, int | None]:
        try:
            body = gate.call(
                lambda: client.lead_page(key.reveal(), info.remote_id, 0, 1, **filters)
            )
        except Refused as e:
            if e.code == "bad_key":
                raise
            return info.remote_id, None
        return info.remote_id, parse.lead_page(body).total

    with ThreadPoolExecutor(max_workers=gate.limit.in_flight) as pool:
        counted = list(pool.map(size, campaigns))
    return {remote_id: total for remote_id, total in counted if total is not None}


def _save(
    connection: Connection,
    found: Sequence[CampaignInfo],
    sizes: dict[int, int],
    asked: Active | None,
    actor: User | None,
) -> Backfill:
    campaigns = sources.save_campaigns(connection, found)
    all_sizes = sizes_of(sizes, len(campaigns))
    active = sizes_of(asked.sizes, len(campaigns)) if asked else None
    price = cost(all_sizes, calls_per_minute=connection.calls_per_minute, active=active)
    Backfill.objects.filter(state=Backfill.State.PLANNED).delete()
    backfill: Backfill = Backfill.objects.create(
        connection=connection,
        requested_by=actor,
        planned_campaigns=len(campaigns),
        planned_leads=sum(all_sizes),
        planned_calls=price.calls,
        planned_seconds=price.seconds,
        plan_is_exact=len(sizes) == len(campaigns),
    )
    Cursor.objects.bulk_create(
        Cursor(
            backfill=backfill,
            campaign=campaign,
            kind=kind,
            source=Cursor.Source.EXPORT if kind == Cursor.Kind.LEADS else Cursor.Source.PAGES,
            total=sizes.get(campaign.remote_id) if kind == Cursor.Kind.LEADS else None,
        )
        for kind in (Cursor.Kind.LEADS, Cursor.Kind.REPLIED)
        for campaign in campaigns
    )
    if asked:
        Cursor.objects.bulk_create(
            reach.cursor(backfill, campaign, asked.since, asked.sizes.get(campaign.remote_id))
            for campaign in campaigns
        )
    audit.record("backfill.planned", backfill, actor=actor)
    return backfill


def room(brand_id: int) -> int:
    """Return how many new leads the brand's plan admits now."""
    return entitlements.of(brand_id).leads_left
