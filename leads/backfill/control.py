"""What people do with a backfill: start, pause, resume, cancel. Each is claimed by state.

A move that is not possible (any more) is Refused with words: "missing" what never was the brand's,
"replaced" what may have been, for a newer plan deletes the one before. All audit, all are safe to
repeat.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts import brands
from accounts.models import User
from leads.backfill import reach
from leads.backfill.endings import STRIDE
from leads.models import Backfill, Connection
from saas import audit
from saas.celery import wake
from saas.errors import Refused
from saas.tenancy import scope

State = Backfill.State
FRESH = timedelta(hours=24)


def start(*, brand_id: int, backfill_id: int, actor: User | None) -> Backfill:
    """Start a planned backfill."""
    with scope(brand_id):
        now = timezone.now()
        row = _move(
            backfill_id,
            (State.PLANNED,),
            "start",
            state=State.RUNNING,
            requested_by=actor,
            started_at=now,
            due_at=now,
            history_since=_history_since(now),
        )
        reach.begin(row)
        audit.record("backfill.started", row, actor=actor)
        wake(STRIDE, brand_id, row.pk)
        return row


def pause(*, brand_id: int, backfill_id: int, actor: User | None) -> Backfill:
    """Stop fetching until it is resumed. Calls under way are dropped, not lost."""
    with scope(brand_id):
        make_way(brand_id, actor=actor, but=backfill_id)
        row = _move(
            backfill_id, (State.RUNNING, State.PARKED), "pause", state=State.PAUSED, due_at=None,
            wait="",
        )  # fmt: skip
        audit.record("backfill.paused", row, actor=actor)
        return row


def resume(*, brand_id: int, backfill_id: int, actor: User | None, reason: str = "") -> Backfill:
    """Go on from the last committed page; also tries a parked run again at once. Ends a sync that
    is under way beside it."""
    with scope(brand_id):
        make_way(brand_id, actor=actor, but=backfill_id)
        row = _move(
            backfill_id,
            (State.PAUSED, State.PARKED),
            "resume",
            state=State.RUNNING,
            wait="",
            due_at=timezone.now(),
            attempts=0,
        )
        audit.record("backfill.resumed", row, actor=actor, reason=reason)
        wake(STRIDE, brand_id, row.pk)
        return row


def cancel(*, brand_id: int, backfill_id: int, actor: User | None, reason: str = "") -> Backfill:
    """End the run for good. What was fetched stays."""
    with scope(brand_id):
        row = _move(
            backfill_id,
            Backfill.LIVE,
            "cancel",
            state=State.CANCELLED,
            wait="",
            due_at=None,
            ended_at=timezone.now(),
        )
        audit.record("backfill.cancelled", row, actor=actor, reason=reason)
        return row


def make_way(brand_id: int, *, actor: User | None, but: int | None = None) -> None:
    """End a sync that is under way, for a backfill; its next one asks for the same again.

    In the brand's scope. Locks the brand until the commit, so that no sync starts meanwhile.
    """
    brands.lock(brand_id)
    syncs = Backfill.objects.filter(kind=Backfill.Kind.SYNC, state__in=Backfill.LIVE)
    for run in syncs.exclude(pk=but):
        cancel(brand_id=brand_id, backfill_id=run.pk, actor=actor, reason="a backfill goes first")


def go_on(brand_id: int, waits: tuple[str, ...], *, reason: str) -> bool:
    """Resume the brand's run if it is parked for one of `waits`; tell whether it was."""
    with scope(brand_id):
        row = Backfill.objects.filter(state=State.PARKED, wait__in=waits).first()
        if row is None:
            return False
        try:
            resume(brand_id=brand_id, backfill_id=row.pk, actor=None, reason=reason)
        except Refused:  # somebody moved it in the same moment
            return False
        return True


def live(connection: Connection | None = None) -> Backfill | None:
    """Return the scope's run that is planned, running, paused or parked, if any: a backfill rather
    than a sync beside it."""
    rows = Backfill.objects.filter(state__in=Backfill.LIVE).select_related("connection")
    rows = rows.order_by("kind")
    return (rows.filter(connection=connection) if connection else rows).first()


def _move(backfill_id: int, sources: tuple[str, ...], verb: str, **fields: Any) -> Backfill:
    won = Backfill.objects.filter(pk=backfill_id, state__in=sources).update(**fields)
    row: Backfill | None = (
        Backfill.objects.select_related("connection").filter(pk=backfill_id).first()
    )
    if row is None:
        if Backfill.objects.filter(pk__gt=backfill_id).exists():
            raise Refused("replaced", "This plan was replaced by a newer one.")
        raise Refused("missing", "There is no such backfill.")
    if not won:
        raise Refused(
            "wrong_state", f"This backfill is {row.get_state_display().lower()}: can't {verb} it."
        )
    return row


def _history_since(now: datetime) -> datetime:
    """Messages fetched after this moment need not be fetched again.

    A run that follows a cancelled or failed one goes on where that stopped, if that was lately; a
    run that follows a finished one looks at every thread again. Syncs don't count.
    """
    rows = Backfill.objects.filter(kind=Backfill.Kind.FULL, started_at__isnull=False).order_by(
        "-started_at"
    )
    since = now
    for state, started_at in rows.values_list("state", "started_at")[:20]:
        if state not in (State.CANCELLED, State.FAILED) or started_at < now - FRESH:
            break
        since = started_at
    return since
