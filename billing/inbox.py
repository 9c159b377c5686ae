"""Stripe's events, worked off from the inbox: our projection, then dj-stripe's mirror.

The projection comes first, because money and access must not wait for the mirror. Both refetch, so
working an event twice, late or out of order is harmless, and events of one object that wait
together are worked as one: what is fetched now holds the change of each. A failure of the moment
(Stripe's, a key that it refuses, or a database that is away, busy or in a deadlock) is tried again
after a while for as long as it lasts; an event that can't be understood, or that the database can't
hold, is parked after MOST_ATTEMPTS with its reason, for a person to look at and retry.
"""

from __future__ import annotations

import json
import time
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import stripe
import structlog
from django.conf import settings
from django.core.exceptions import (
    MultipleObjectsReturned,
    ObjectDoesNotExist,
    ValidationError,
)
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.models import F, Max
from django.utils import timezone
from djstripe.exceptions import ImpossibleAPIRequest, StripeObjectManipulationException

from billing import gateway, handlers, mirror
from billing.models import StripeInbox
from saas.celery import wake
from saas.errors import HarborError, Retryable
from saas.leases import claim
from saas.tenancy import everyone

log = structlog.get_logger(__name__)

LEASE = 120.0
HELD = LEASE / 2  # when Stripe is slow, what isn't begun by then goes to others
BATCH = 50
DRAIN_SECONDS = 40.0
MOST_ATTEMPTS = 8
WAKE_EVERY = 0.25
CATCH_UP_OVERLAP = timedelta(hours=1)
FIRST_LOOK = timedelta(days=3)
KEPT = timedelta(days=90)  # worked events; a copy that comes later has an old signature
PRUNED = 5000  # rows a statement, so that no delivery waits for it
State = StripeInbox.State

# What a malformed or surprising payload can raise, here or in dj-stripe. The event is kept, tried
# again, and in the end parked in sight of a person.
POISON = (
    HarborError,
    stripe.StripeError,
    DatabaseError,
    InterfaceError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    ObjectDoesNotExist,
    MultipleObjectsReturned,
    ValidationError,
    ImpossibleAPIRequest,
    StripeObjectManipulationException,
)

PASSING = (*gateway.PASSING, OperationalError, InterfaceError)  # a deadlock is an OperationalError

_last_wake = 0.0


def wake_soon() -> None:
    """Wake a worker, at most once in WAKE_EVERY seconds per process.

    Each message runs a little later than WAKE_EVERY after it was sent, so it also covers the events
    that arrive meanwhile without a message of their own.
    """
    global _last_wake
    now = time.monotonic()
    if now - _last_wake >= WAKE_EVERY:
        _last_wake = now
        wake("billing.inbox.drain", after=WAKE_EVERY + 0.05)


def drain(seconds: float = DRAIN_SECONDS) -> int:
    """Work off due events until none is left or the time is over; return how many were worked.

    Any number of workers may drain at once.
    """
    until, worked = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        rows = _claim()
        if not rows:
            return worked
        worked += work(rows)
    wake("billing.inbox.drain")
    return worked


def _claim() -> list[StripeInbox]:
    with everyone("Stripe's inbox"):
        due = StripeInbox.objects.filter(state=State.PENDING, next_attempt_at__lte=timezone.now())
        return claim(due.order_by("next_attempt_at", "pk"), seconds=LEASE, limit=BATCH)


def work(rows: Sequence[StripeInbox]) -> int:
    """Work leased events to their end or to their next attempt; return how many."""
    until, worked, groups = time.monotonic() + HELD, 0, _by_object(rows)
    try:
        while groups and time.monotonic() < until:
            group = groups.pop(0)
            if _work(group):
                worked += len(group)
            else:
                groups[:0] = [[row] for row in group]
    finally:
        for group in groups:
            _end(group, attempts=F("attempts") - 1)
    return worked


def _by_object(rows: Sequence[StripeInbox]) -> list[list[StripeInbox]]:
    """The events of each object, in the order of the first of each."""
    groups: dict[Hashable, list[StripeInbox]] = {}
    for row in rows:
        groups.setdefault(_object(row), []).append(row)
    return list(groups.values())


def _object(row: StripeInbox) -> Hashable:
    """Which object an event is of; what can't be told stands alone."""
    try:
        event = json.loads(row.body)
        found = event["data"]["object"]
        named = event.get("account"), found["object"], found["id"]
        hash(named)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return row.pk
    return named


def _work(group: list[StripeInbox]) -> bool:
    """Work events of one object by its last word: that it is gone, or else the newest.

    False when that failed and each is to be worked alone, since what one of them holds may be all
    that is wrong. Raises what nobody foresaw, a fault of ours, when the attempt is counted.
    """
    last = max(group, key=lambda row: (row.type.endswith(".deleted"), row.created, row.pk))
    try:
        state = _process(json.loads(last.body))
    except PASSING as e:
        _postpone(group, e)
    except Exception as e:
        if len(group) > 1:
            return False
        _postpone(group, e)
        if not isinstance(e, POISON):
            raise
    else:
        _end(group, state=state, processed_at=timezone.now(), last_error="")
    return True


def _process(event: dict[str, Any]) -> str:
    if event.get("object") != "event":
        log.warning("stripe.event_without_object", type=event["type"], event_id=event["id"])
        return State.IGNORED
    account = event.get("account")
    with gateway.translated():
        foreign = bool(account) and account != mirror.account_id()
    if foreign:
        return State.IGNORED  # a connected account's; we have none
    handlers.project(event)
    mirror.process(event)
    return State.DONE


def _postpone(group: list[StripeInbox], error: Exception) -> None:
    passing = isinstance(error, PASSING)
    asked = error.after if isinstance(error, Retryable) else 0.0
    for row in group:
        parked = row.attempts >= MOST_ATTEMPTS and not passing
        wait = max(asked, min(5.0 * 2 ** min(row.attempts, 8), 600.0))
        log.warning(
            "stripe.event_failed",
            event_id=row.event_id,
            type=row.type,
            parked=parked,
            exc_info=error,
        )
        _end(
            [row],
            state=State.PARKED if parked else State.PENDING,
            last_error=f"{type(error).__name__}: {error}"[:2000],
            next_attempt_at=timezone.now() + timedelta(seconds=wait),
        )


def _end(group: list[StripeInbox], **fields: Any) -> None:
    """Write what came of the events and give them back; those whose lease was lost are others'."""
    with everyone("Stripe's inbox"):
        mine = StripeInbox.objects.filter(
            pk__in=[row.pk for row in group], lease_token=group[0].lease_token
        )
        ended = mine.update(lease_until=None, lease_token=None, **fields)
    if ended < len(group):
        log.warning("stripe.event_lease_lost", events=[row.event_id for row in group])


def retry(ids: Iterable[int]) -> int:
    """Put parked events back (staff, in the admin); return how many."""
    parked = StripeInbox.objects.filter(pk__in=list(ids), state=State.PARKED)
    count = parked.update(state=State.PENDING, attempts=0, next_attempt_at=timezone.now())
    wake("billing.inbox.drain")
    return count


def sweep() -> bool:
    """Wake a worker if an event is due (its message was lost, its worker died)."""
    now = timezone.now()
    if StripeInbox.objects.filter(state=State.PENDING, next_attempt_at__lte=now).exists():
        wake("billing.inbox.drain")
        return True
    return False


def prune() -> int:
    """Delete worked events received more than KEPT ago; return how many. Safe to repeat.

    Parked ones stay until a person decides. The newest event stays, since catch_up begins there.
    """
    newest = StripeInbox.objects.order_by("-created").values("pk")[:1]
    old = StripeInbox.objects.filter(
        state__in=(State.DONE, State.IGNORED), received_at__lt=timezone.now() - KEPT
    ).exclude(pk__in=newest)
    gone = 0
    while batch := list(old.values_list("pk", flat=True)[:PRUNED]):
        gone += StripeInbox.objects.filter(pk__in=batch).delete()[0]
    return gone


def catch_up() -> int:
    """List Stripe's events since the last one seen and take in those that never came.

    Returns how many were new. Safe to repeat. When none was ever seen (a wrong webhook secret, say)
    it looks back FIRST_LOOK.
    """
    last: datetime | None = StripeInbox.objects.aggregate(last=Max("created"))["last"]
    since = int((last - CATCH_UP_OVERLAP if last else timezone.now() - FIRST_LOOK).timestamp())
    listed = gateway.each("/v1/events", {"created": {"gte": since}})
    taken = sum(_take(event) for event in listed)
    if taken:
        log.warning("stripe.caught_up", events=taken)
        wake("billing.inbox.drain")
    return taken


def _take(event: dict[str, Any]) -> int:
    if event.get("livemode") is not settings.STRIPE_LIVE_MODE:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing_stripeinbox (event_id, type, body, created)"
            " VALUES (%s, %s, %s, to_timestamp(%s)) ON CONFLICT (event_id) DO NOTHING",
            [event["id"], event["type"], json.dumps(event), event["created"]],
        )
        return int(cursor.rowcount)
