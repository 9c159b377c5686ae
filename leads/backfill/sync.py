"""Syncs: backfills of what is new, started on a schedule once a first backfill has ended.

Any number of beats may look for due ones at once: who moves `sync_due_at` starts the run, in one
transaction. A person's backfill goes first: no sync starts beside it, and planning one ends a sync
that is under way (control.make_way), whose next one asks for the same again. One that waits for
room in the plan is not in the way.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from accounts import brands
from billing import entitlements
from leads.backfill import control
from leads.backfill.endings import STRIDE
from leads.backfill.tail import DUE_SINCE
from leads.models import Backfill, Connection
from saas.celery import wake
from saas.jobs import job
from saas.tenancy import everyone, scope

MOST = 500
POSTPONED = timedelta(minutes=5)  # behind a person's backfill
FORGOTTEN_PLAN = timedelta(hours=1)  # a plan that nobody started holds syncs up no longer
KEPT = timedelta(days=2)  # each has rows for every campaign


def start_due() -> int:
    """Start the syncs that are due; return how many. Safe to repeat, and at the same time."""
    with job("leads.sync") as trace:
        with everyone("start syncs"):
            due = Connection.objects.filter(
                state=Connection.State.WORKING,
                sync_due_at__lte=timezone.now(),
                sync_every__gt=0,
                brand__erase_requested_at=None,
            )
            found = list(due.order_by("sync_due_at").values_list("brand_id", flat=True)[:MOST])
        started = sum(start(brand_id) is not None for brand_id in found)
        trace.note(f"started {started} of {len(found)}")
    return started


def start(brand_id: int) -> Backfill | None:
    """Start the brand's sync if it is due and nothing is in its way; None otherwise."""
    with scope(brand_id):
        brands.lock(brand_id)  # a plan that is saved now comes before or after
        now = timezone.now()
        connection: Connection | None = (
            Connection.objects.filter(
                state=Connection.State.WORKING, sync_due_at__lte=now, sync_every__gt=0
            )
            .select_for_update(no_key=True)
            .first()
        )
        if connection is None:
            return None  # another beat was first
        blocked = _in_the_way()
        wait = POSTPONED if blocked else timedelta(minutes=connection.sync_every)
        connection.sync_due_at = now + wait
        connection.save(update_fields=["sync_due_at"])
        if blocked or not entitlements.of(brand_id).live:
            return None
        return _begin(connection)


def _in_the_way() -> bool:
    run = control.live()
    if run is None:
        return False
    if run.waits_for_room:
        beside = Backfill.objects.filter(state__in=Backfill.LIVE).exclude(pk=run.pk)
        return bool(beside.exists())
    if run.state == Backfill.State.PLANNED and run.created_at < timezone.now() - FORGOTTEN_PLAN:
        run.delete()
        return False
    return True


def _begin(connection: Connection) -> Backfill:
    now = timezone.now()
    row: Backfill = Backfill.objects.create(
        connection=connection,
        kind=Backfill.Kind.SYNC,
        state=Backfill.State.RUNNING,
        has_campaigns=False,
        started_at=now,
        due_at=now,
        history_since=DUE_SINCE,
    )
    wake(STRIDE, connection.brand_id, row.pk)
    return row


def prune() -> None:
    """Forget old syncs. Inside everyone(); safe to repeat."""
    old = Backfill.objects.filter(
        kind=Backfill.Kind.SYNC, ended_at__lt=timezone.now() - KEPT
    ).values_list("pk", flat=True)[:MOST]
    Backfill.objects.filter(pk__in=list(old)).delete()
