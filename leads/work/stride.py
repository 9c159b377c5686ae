"""The worker's side of changes of many leads: one stride does batches for a few seconds.

Each batch is one transaction: the leads, the changes noted, the position and the counters. So a
worker that dies between two batches, or in one, leaves nothing half done; the lease runs out and
the sweep wakes the next stride, which goes on from the position. Two workers at once: one holds the
row, the other writes nothing.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from datetime import timedelta
from typing import Any

import structlog
from django.db.models import F, QuerySet
from django.utils import timezone

from leads import search
from leads.ingest.leads import hold_ingest
from leads.models import BulkJob
from leads.search import Filters, Sort
from leads.work import changes
from leads.work.bulk import STRIDE, figures
from leads.work.changes import Change
from saas import audit
from saas.celery import stopping, wake
from saas.jobs import job as traced
from saas.leases import LeaseLost, claim, free, hold, release
from saas.tenancy import everyone, scope

log = structlog.get_logger(__name__)
What, State = BulkJob.What, BulkJob.State

BOX = 10.0  # seconds; then the other brands have their turn
LEASE = 60.0  # longer than any batch
BATCH = {What.CATEGORY: 2000, What.TAG: 2000, What.UNTAG: 2000, What.DELETE: 1000}
MOST_CLAIMS = 10  # without a batch between them: something of ours is broken
OVERDUE = timedelta(seconds=5)
MOST = 500


def stride(brand_id: int, job_id: int) -> None:
    """Carry the job on. Safe to call at any time, by any number of workers at once."""
    with scope(brand_id):
        ready = BulkJob.objects.filter(
            pk=job_id, state__in=BulkJob.CARRIED, due_at__lte=timezone.now()
        )
        claimed = claim(ready, seconds=LEASE)
        if not claimed:
            return
        job = claimed[0]
        if job.attempts > MOST_CLAIMS:
            _end(job, State.FAILED)
            return
    until = time.monotonic() + BOX
    try:
        while time.monotonic() < until and not stopping.is_set():
            with scope(brand_id):
                if not step(job):
                    return
        with scope(brand_id):
            release(job, due_at=timezone.now())
            wake(STRIDE, brand_id, job.pk)
    except LeaseLost:
        log.info("bulk.lease_lost", job=job_id)


def step(job: BulkJob) -> bool:
    """Do one batch in the caller's transaction; False when the job has ended. Raises LeaseLost.

    Holds the job's row and the brand's ingest lock until the commit.
    """
    row = hold(job)
    if row.state not in BulkJob.CARRIED:  # cancelled by a person
        release(row)
        return False
    if row.state == State.RUNNING and row.total is None:
        return _progress(row, total=_rows(row).count())
    hold_ingest(row.brand_id)
    return _undo(row) if row.state == State.UNDOING else _apply(row)


def sweep() -> int:
    """Wake the jobs that are due, free and late; return how many. Safe to repeat."""
    with traced("leads.work.sweep") as trace, everyone("sweep changes of many leads"):
        now = timezone.now()
        late = list(
            BulkJob.objects.filter(
                free(), state__in=BulkJob.CARRIED, due_at__lt=now - OVERDUE
            ).order_by("due_at")[:MOST]
        )
        BulkJob.objects.filter(pk__in=[row.pk for row in late]).update(due_at=now)
        for row in late:
            wake(STRIDE, row.brand_id, row.pk)
        trace.note(f"woke {len(late)}")
    return len(late)


def _apply(row: BulkJob) -> bool:
    ids = _next(row)
    if not ids or (row.what in (What.TAG, What.UNTAG) and row.tag_id is None):
        return _end(row, State.FINISHED)
    change = Change(row.what, timezone.now(), row.requested_by_id, row.category, row.tag_id, row.pk)
    changed = changes.apply(row.brand_id, ids, change)
    return _progress(row, position=ids[-1], seen=row.seen + len(ids), changed=row.changed + changed)


def _undo(row: BulkJob) -> bool:
    undone, more = changes.undo(row.brand_id, row, BATCH[What(row.what)])
    row.undone += undone
    return _progress(row, undone=row.undone) if more else _end(row, State.UNDONE)


def _next(row: BulkJob) -> list[int]:
    size = BATCH[What(row.what)]
    if row.leads is not None:
        begin = bisect_right(row.leads, row.position)
        return list(row.leads[begin : begin + size])
    return list(_rows(row).order_by("key").values_list("key", flat=True)[:size])


def _rows(row: BulkJob) -> QuerySet[Any]:
    """Return the leads of the job's filters that are still to do; `key` is their id."""
    rows, number = search.matching(row.brand_id, Filters.of(row.filters), Sort.ADDED, whole=True)
    bounds = {f"{number}__gt": row.position, f"{number}__lte": row.upto}
    left: QuerySet[Any] = rows.filter(**bounds).annotate(key=F(number))
    return left


def _progress(row: BulkJob, **fields: Any) -> bool:
    until = timezone.now() + timedelta(seconds=LEASE)
    BulkJob.objects.filter(pk=row.pk).update(lease_until=until, attempts=0, **fields)
    return True


def _end(row: BulkJob, state: str) -> bool:
    release(row, state=state, undone=row.undone, due_at=None, ended_at=timezone.now())
    audit.record(f"bulk.{state}", row, actor=row.requested_by, changes=figures(row))
    return False
