"""How a stride ends other than by the clock: the phase turns, or the run parks, finishes, fails.

Each is one transaction that gives the lease back; each raises LeaseLost when it is another's, and
Stopped when the run was paused or cancelled since: what a person said last holds.
"""

from __future__ import annotations

from django.utils import timezone

from leads import sources
from leads.backfill import tail
from leads.backfill.commit import Stopped
from leads.backfill.jobs import count_due
from leads.models import Backfill
from saas import audit
from saas.celery import wake
from saas.leases import hold, release
from saas.tenancy import scope

STRIDE = "leads.stride"


def begin_history(backfill: Backfill) -> None:
    """All leads are here: turn to their messages."""
    with scope(backfill.brand_id):
        row = _held(backfill)
        Backfill.objects.filter(pk=row.pk).update(
            phase=Backfill.Phase.HISTORY, history_total=row.history_done + count_due(row)
        )


def settle(backfill: Backfill) -> None:
    """Nothing is left to fetch: finish, or keep waiting for room when billing holds leads back."""
    with scope(backfill.brand_id):
        tail.hold_connection(backfill)  # before the run, as those do who connect and disconnect
        row = _held(backfill)
        if row.full:
            release(backfill, due_at=None)
            tail.settled(row)
            return
        now = timezone.now()
        release(
            backfill,
            state=Backfill.State.FINISHED,
            phase=Backfill.Phase.DONE,
            wait="",
            due_at=None,
            ended_at=now,
            attempts=0,
        )
        tail.settled(row)
        if row.kind == Backfill.Kind.FULL:
            audit.record("backfill.finished", row, actor=None)


def park(backfill: Backfill, wait: Backfill.Wait) -> None:
    """Park the run until something outside changes.

    A full plan still lets the messages of the admitted leads be fetched: strides go on for those.
    """
    with scope(backfill.brand_id):
        row = _held(backfill)
        full = wait == Backfill.Wait.QUOTA_EXCEEDED
        release(
            backfill,
            state=Backfill.State.PARKED,
            wait=wait,
            due_at=timezone.now() if full else None,
            history_total=row.history_done + count_due(row) if full else row.history_total,
            attempts=0,
        )
        audit.record("backfill.parked", row, actor=None, reason=str(wait))
        if full:
            wake(STRIDE, row.brand_id, row.pk)


def hold_back(backfill: Backfill, refusal: str) -> bool:
    """Billing takes no more new leads: park the run, False. A sync goes on without them, True."""
    if backfill.kind == Backfill.Kind.SYNC:
        with scope(backfill.brand_id):
            tail.leave_out(_held(backfill))
        return True
    park(backfill, Backfill.Wait(refusal))
    return False


def refuse_key(backfill: Backfill) -> None:
    """SmartLead no longer accepts the key: say so on the connection, and park. Another key that was
    saved meanwhile is tried next."""
    with scope(backfill.brand_id):
        refused = sources.key_refused(backfill.connection)
        row = hold(backfill)
        if row.state not in Backfill.CARRIED:  # by a person
            release(backfill)
        elif refused:
            park(backfill, Backfill.Wait.BAD_KEY)
        else:
            release(backfill, due_at=timezone.now(), attempts=0)
            wake(STRIDE, row.brand_id, row.pk)


def fail(backfill: Backfill, reason: str) -> None:
    """Give up on a run that our own code can't carry on; staff sees it in the admin."""
    with scope(backfill.brand_id):
        row = _held(backfill)
        release(
            backfill,
            state=Backfill.State.FAILED,
            due_at=None,
            ended_at=timezone.now(),
            last_error=reason,
        )
        audit.record("backfill.failed", row, actor=None, reason=reason)


def waiting_state(row: Backfill, wait: str) -> str:
    """Return the state of a run that waits: parked behind an open breaker, else as it was."""
    if row.full:
        return row.state
    parked = wait == Backfill.Wait.BREAKER
    return Backfill.State.PARKED if parked else Backfill.State.RUNNING


def _held(backfill: Backfill) -> Backfill:
    row = hold(backfill)
    if row.state not in Backfill.CARRIED:
        raise Stopped
    return row
