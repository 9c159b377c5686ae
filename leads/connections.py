"""Connecting SmartLead: the key is proven by a real call, sealed, and never shown again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from accounts import brands
from accounts.models import User
from accounts.roles import Permission, allows
from billing import entitlements
from leads import sources
from leads.backfill import control
from leads.hooks import leave, remote
from leads.models import Backfill, Campaign, Connection
from leads.smartlead import client, parse
from leads.smartlead import gate as gates
from leads.smartlead.gate import Gate
from leads.smartlead.parse import CampaignInfo
from saas import audit
from saas.errors import Refused
from saas.ratelimit import Limit
from saas.tenancy import scope

HINT = 4
LONGEST_KEY = 200


def current() -> Connection | None:
    """Return the scope's connection, connected or not."""
    found: Connection | None = Connection.objects.first()
    return found


def connect(*, brand_id: int, api_key: str, actor: User | None) -> Connection:
    """Prove the key with a call, then save it sealed, in place of an earlier one.

    Calls SmartLead, so no transaction may be open. Raises Refused with words for a wrong key, a
    silent SmartLead or a plan without connections; then nothing has changed. A run that was parked
    for a refused key goes on.
    """
    key = api_key.strip()
    if not key or len(key) > LONGEST_KEY or not key.isprintable():
        raise Refused("bad_key", "That is not an API key. Copy it again from SmartLead.")
    with scope(brand_id):
        existing = current()
        if existing is None and entitlements.of(brand_id).connections < 1:
            raise Refused("no_connections", "Your plan does not include a SmartLead connection.")
    limit = existing.limit if existing else Limit(50, 60.0, 5)
    # The key's own account: what an earlier key used up, or was refused, is not this one's.
    gate = Gate(brand_id, limit, account=gates.account_of(key))
    found = parse.campaigns(gate.call(lambda: client.campaigns(key)))
    with scope(brand_id):
        brands.lock(brand_id)  # two first connections at once become one
        connection = _save(key, found, actor)
        control.go_on(brand_id, (Backfill.Wait.BAD_KEY,), reason="a new key")
    return connection


def _save(key: str, found: list[CampaignInfo], actor: User | None) -> Connection:
    connection = Connection.objects.select_for_update(no_key=True).first() or Connection()
    action = "connection.replaced" if connection.pk else "connection.created"
    if not connection.api_key or connection.api_key.reveal() != key:
        connection.account = gates.account_of(key)
    connection.api_key = key
    # Of a short key, the last four characters would be too much of it.
    connection.key_hint = key[-HINT:] if len(key) >= 4 * HINT else ""
    connection.state = Connection.State.WORKING
    connection.checked_at = timezone.now()
    connection.save()
    sources.save_campaigns(connection, found)
    remote.want(connection.brand_id)
    audit.record(action, connection, actor=actor)
    return connection


@dataclass(frozen=True)
class Farewell:
    """What became of the webhooks that we had set up: how many were removed, how many are left."""

    removed: int
    left: int


def disconnect(*, brand_id: int, actor: User | None) -> Farewell | None:
    """Forget the key, then remove our webhooks at SmartLead as far as it lets us; None when there
    was no key. A live backfill is cancelled; campaigns, leads and messages stay.

    Calls SmartLead, so no transaction may be open. Its faults are no reason not to disconnect.
    """
    with scope(brand_id):
        connection = Connection.objects.select_for_update(no_key=True).first()
        if connection is None or connection.state == Connection.State.DISCONNECTED:
            return None
        key, usable, placed = connection.api_key, connection.usable, leave.placed(connection)
        for run in Backfill.objects.filter(state__in=Backfill.LIVE):
            control.cancel(brand_id=brand_id, backfill_id=run.pk, actor=actor)
        connection.api_key = ""
        connection.key_hint = ""
        connection.state = Connection.State.DISCONNECTED
        connection.save()
        audit.record("connection.removed", connection, actor=actor)
    gone = leave.take_away(connection, key, placed) if usable and key else []
    with scope(brand_id):
        Campaign.objects.filter(pk__in=gone).update(hook_id=None, hook_for="")
    return Farewell(len(gone), len(placed) - len(gone))


def set_schedule(*, brand_id: int, sync_every: int, actor: User | None) -> Connection:
    """Have what is new fetched every so many minutes, 0 for never, once a backfill has ended."""
    with scope(brand_id):
        connection: Connection | None = Connection.objects.select_for_update(no_key=True).first()
        if connection is None:
            raise Refused("not_connected", "Connect SmartLead first.")
        changes = {"sync_every": [connection.sync_every, sync_every]}
        connection.sync_every = sync_every
        if connection.synced_at:
            due = connection.synced_at + timedelta(minutes=sync_every)
            connection.sync_due_at = max(due, timezone.now())
        connection.save(update_fields=["sync_every", "sync_due_at"])
        audit.record("connection.schedule_changed", connection, actor=actor, changes=changes)
        return connection


def set_limits(
    *, brand_id: int, calls_per_minute: int, in_flight: int, actor: User | None
) -> Connection:
    """Change how much the brand may ask of SmartLead. Takes effect with the next stride."""
    with scope(brand_id):
        connection: Connection | None = Connection.objects.select_for_update(no_key=True).first()
        if connection is None:
            raise Refused("not_connected", "Connect SmartLead first.")
        changes = {
            "calls_per_minute": [connection.calls_per_minute, calls_per_minute],
            "in_flight": [connection.in_flight, in_flight],
        }
        connection.calls_per_minute = calls_per_minute
        connection.in_flight = in_flight
        connection.save(update_fields=["calls_per_minute", "in_flight"])
        audit.record("connection.limits_changed", connection, actor=actor, changes=changes)
        return connection


def share_limit(*, brand_id: int, other_id: int | None, actor: User) -> None:
    """Count this brand's calls together with those of another brand of the person's, whose key is
    of the same SmartLead account; None: by its own key again. Audited.

    Raises Refused when there is no such brand with a connection, or the person does not manage it.
    """
    account = ""
    if other_id:
        if other_id not in {each.brand_id for each in neighbours(actor, of=brand_id)}:
            raise Refused("no_such_brand", "Choose one of your connected brands.")
        account = _account(other_id)
    with scope(brand_id):
        connection: Connection | None = Connection.objects.select_for_update(no_key=True).first()
        if connection is None or not connection.usable:
            raise Refused("not_connected", "Connect SmartLead first.")
        wanted = account or gates.account_of(connection.api_key.reveal())
        if connection.account == wanted:
            return
        connection.account = wanted
        connection.save(update_fields=["account"])
        audit.record(
            "connection.limit_shared" if account else "connection.limit_own",
            connection,
            actor=actor,
        )


@dataclass(frozen=True)
class Neighbour:
    """Another connected brand of the person's; `shares` this brand's limit now."""

    brand_id: int
    name: str
    shares: bool


def neighbours(user: User, *, of: int) -> list[Neighbour]:
    """Return the person's other connected brands whose connections they manage. Opens scopes."""
    own = _account(of)
    found = [
        (place, _account(place.brand_id))
        for place in brands.places(user)
        if place.brand_id != of and allows(place.role, Permission.MANAGE_CONNECTIONS)
    ]
    return [Neighbour(p.brand_id, p.name, account == own) for p, account in found if account]


def _account(brand_id: int) -> str:
    """The account of a brand's connection; "" when it is not connected."""
    with scope(brand_id):
        connection = Connection.objects.first()
        if connection is None or not connection.usable:
            return ""
        return connection.account or gates.account_of(connection.api_key.reveal())
