"""SmartLead's events, worked off from the inbox: one transaction each, once each.

The row is done in the transaction of what it changes, so a worker that dies leaves an event either
untouched, to be taken again when the lease runs out, or applied and done. Brands take turns: one
that sends a flood waits behind its own events alone. An event that fails again and again is parked
with its reason, for staff to look at and try again.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable
from datetime import timedelta

import structlog
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, OperationalError
from django.utils import timezone

from leads.hooks import event as events
from leads.hooks.apply import apply
from leads.models import Delivery
from saas.celery import stopping, wake
from saas.errors import HarborError
from saas.leases import LeaseLost, claim, hold, release
from saas.tenancy import everyone, scope

log = structlog.get_logger(__name__)

DRAIN = "leads.inbox.drain"
LEASE = 60.0
TURN = 10  # events of one brand, then the next brand's
DRAIN_SECONDS = 40.0
MOST_ATTEMPTS = 8
WAKE_EVERY = 0.25
KEPT = timedelta(days=7)
MOST_PRUNED = 10_000
State = Delivery.State

# What a surprising event can raise. It is kept, tried again, and in the end parked.
POISON = (HarborError, ObjectDoesNotExist, DatabaseError, LookupError, TypeError, ValueError,
          AttributeError, ArithmeticError, RecursionError)  # fmt: skip

_last_wake = 0.0


def wake_soon() -> None:
    """Wake a worker, at most once in WAKE_EVERY seconds per process, a little later than that: the
    message also covers the events that arrive meanwhile."""
    global _last_wake
    now = time.monotonic()
    if now - _last_wake >= WAKE_EVERY:
        _last_wake = now
        wake(DRAIN, after=WAKE_EVERY + 0.05)


def drain(seconds: float = DRAIN_SECONDS) -> int:
    """Work off due events until none is left or the time is over; return how many were worked.

    Any number of workers may drain at once.
    """
    until, worked = time.monotonic() + seconds, 0
    while time.monotonic() < until and not stopping.is_set():
        before = worked
        for brand_id in _brands():
            for again in (False, True):
                rows = _claim(brand_id, again=again)
                for row in rows:
                    work(row)
                worked += len(rows)
        if worked == before:
            return worked
    wake(DRAIN)
    return worked


def _brands() -> list[int]:
    """Return the brands that have due events, in any order: workers should not meet."""
    with everyone("SmartLead's inbox"):
        due = Delivery.objects.filter(state=State.PENDING, next_attempt_at__lte=timezone.now())
        found = list(due.values_list("brand_id", flat=True).distinct().order_by())
    random.shuffle(found)
    return found


def _claim(brand_id: int, *, again: bool) -> list[Delivery]:
    """Lease a turn of new events, or one of those that were tried before: alone, since a worker
    that dies of it must not count an attempt against its neighbours."""
    with scope(brand_id):
        due = Delivery.objects.filter(state=State.PENDING, next_attempt_at__lte=timezone.now())
        due = due.filter(attempts__gt=0) if again else due.filter(attempts=0)
        limit = 1 if again else TURN
        return claim(due.order_by("next_attempt_at", "pk"), seconds=LEASE, limit=limit)


def work(row: Delivery) -> None:
    """Work one leased event to its end, or to its next attempt."""
    try:
        if row.attempts > MOST_ATTEMPTS:  # whoever took it before never came to an end
            _postpone(row, "Workers died of it.", passing=False)
            return
        try:
            _process(row)
        except POISON as e:
            log.warning("smartlead.event_failed", delivery=row.pk, type=row.type, exc_info=e)
            passing = isinstance(e, OperationalError)
            _postpone(row, f"{type(e).__name__}: {e}"[:2000], passing=passing)
    except LeaseLost:
        log.warning("smartlead.event_lease_lost", delivery=row.pk)


def _process(row: Delivery) -> None:
    with scope(row.brand_id):
        fresh = hold(row)
        event = events.read(json.loads(fresh.body), fresh.received_at)
        note = apply(event, brand_id=fresh.brand_id)
        done = {"state": State.DONE, "processed_at": timezone.now(), "last_error": ""}
        release(fresh, note=note[:100], **done)


def _postpone(row: Delivery, error: str, *, passing: bool) -> None:
    parked = row.attempts >= MOST_ATTEMPTS and not passing
    wait = min(5.0 * 2 ** min(row.attempts, 8), 600.0)
    with scope(row.brand_id):
        release(
            row,
            state=State.PARKED if parked else State.PENDING,
            last_error=error,
            next_attempt_at=timezone.now() + timedelta(seconds=wait),
        )


def retry(ids: Iterable[int]) -> int:
    """Put parked events back (staff, under everyone()); return how many."""
    parked = Delivery.objects.filter(pk__in=list(ids), state=State.PARKED)
    count: int = parked.update(
        state=State.PENDING, attempts=0, next_attempt_at=timezone.now(), lease_until=None
    )
    wake(DRAIN)
    return count


def sweep() -> None:
    """Wake a worker if an event is due (its message was lost, its worker died), and forget what
    was done long ago. Safe to repeat."""
    now = timezone.now()
    with everyone("sweep SmartLead's inbox"):
        if Delivery.objects.filter(state=State.PENDING, next_attempt_at__lte=now).exists():
            wake(DRAIN)
        old = Delivery.objects.filter(state=State.DONE, processed_at__lt=now - KEPT)
        Delivery.objects.filter(
            pk__in=list(old.values_list("pk", flat=True)[:MOST_PRUNED])
        ).delete()
