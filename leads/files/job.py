"""The reading of a file: a check that writes no lead, then the import, BATCH rows a transaction.

A stride claims the lease, reads on from the row's position and commits batch by batch; the position
moves in the transaction of its rows, so that a kill at any point neither loses nor doubles one. Out
of time it gives the worker back and wakes the next stride; whoever dies is followed by the sweep.

The check keeps each address with its first line (`ImportAddress`), so a second row of the same
address is known as such, and what the check counts is what the import does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog
from django.db.models import F
from django.utils import timezone

from leads.files import addresses, rejected, store
from leads.files.rows import Reader
from leads.ingest import leads
from leads.ingest.csvtext import Record, numbered
from leads.ingest.fields import Unfit
from leads.ingest.leads import BATCH
from leads.ingest.rows import LeadRow
from leads.models import Import
from saas import audit
from saas.celery import stopping, wake
from saas.leases import LeaseLost, claim, hold, release
from saas.tenancy import scope

log = structlog.get_logger(__name__)

STRIDE = "leads.files.stride"
CLEAN = "leads.files.clean"
BOX = 10.0  # seconds, then the next job's turn
LEASE = 60.0
MOST_BYTES = 8 * 1024 * 1024  # of a batch, however wide its rows
MOST_CLAIMS = 20  # without one batch between them: something of ours is broken
NO_ROOM = {
    "quota_exceeded": "Your plan has no room for this lead.",
    "trial_expired": "Your trial has ended, so no new leads come in.",
    "suspended": "Your subscription is not active, so no new leads come in.",
}
DELETED = "deleted"
DELETED_BEFORE = "You deleted this lead before, so it stays out."
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
State = Import.State


class Stopped(Exception):
    """Somebody cancelled it meanwhile."""


def stride(brand_id: int, import_id: int) -> None:
    """Carry the import on. Safe to call at any time, by any number of workers at once."""
    job = _claim(brand_id, import_id)
    if job is None:
        return
    until = time.monotonic() + BOX
    try:
        fresh = job.position or job.state != State.CHECKING or _forget_last_check(job, until)
        if fresh and _read(job, until):
            return
        _let_go(job)
    except LeaseLost:
        log.info("import.lease_lost", job=import_id)
    except Stopped:
        with scope(brand_id):
            release(job)


def _claim(brand_id: int, import_id: int) -> Import | None:
    with scope(brand_id):
        ready = Import.objects.filter(pk=import_id, state__in=Import.CARRIED)
        job: Import
        for job in claim(ready, seconds=LEASE):
            if job.attempts <= MOST_CLAIMS:
                return job
            _end(job, State.FAILED, last_error="It stopped again and again for a reason of ours.")
    return None


def _over(until: float) -> bool:
    return time.monotonic() >= until or stopping.is_set()


def _forget_last_check(job: Import, until: float) -> bool:
    """Drop what a check of other columns found; False when the time was not enough."""
    while store.drop_some(job, store.DROP_ADDRESSES, store.DROP_REJECTIONS):
        if _over(until):
            return False
    return True


def _read(job: Import, until: float) -> bool:
    """Read on until the end, True, or until the time is up, False."""
    records = numbered(
        store.chunks(job, job.position),
        encoding=job.encoding,
        delimiter=job.delimiter,
        position=job.position,
        line=job.line,
    )
    if not job.position:
        next(records, None)  # the names of the columns
    reader = Reader(job.columns, job.mapping, job.started_at or job.created_at)
    while True:
        batch = _gather(job, reader, records)
        _commit(job, batch)
        if batch.at_end or _over(until):
            return batch.at_end


@dataclass
class Batch:
    """The next rows: those that are leads by their line, the others with the reason."""

    leads: dict[int, LeadRow] = field(default_factory=dict)
    bad: list[rejected.Rejected] = field(default_factory=list)
    cells: dict[int, list[str]] = field(default_factory=dict)
    position: int = 0
    line: int = 0
    rows: int = 0
    at_end: bool = True

    def reject(self, line: int, reason: str, detail: str) -> None:
        self.leads.pop(line, None)
        self.bad.append(rejected.Rejected(line, reason, detail, self.cells[line]))


def _gather(job: Import, reader: Reader, records: Iterator[Record]) -> Batch:
    batch = Batch(position=job.size, line=job.line)
    for record in records:
        batch.rows += 1
        batch.line = record.next_line
        batch.cells[record.line] = record.fields
        try:
            batch.leads[record.line] = reader.read(record)
        except Unfit as e:
            batch.reject(record.line, e.reason, e.detail)
        if batch.rows == BATCH or record.end - job.position > MOST_BYTES:
            batch.position, batch.at_end = record.end, False
            break
    return batch


def _commit(job: Import, batch: Batch) -> None:
    """Commit the batch, the position behind it and the counters. Raises LeaseLost, Stopped."""
    with scope(job.brand_id):
        fresh = hold(job)
        if fresh.state != job.state:
            raise Stopped
        counted = _check(job, batch) if job.state == State.CHECKING else _import(job, batch)
        moved = {"position": batch.position, "line": batch.line}
        now = timezone.now()
        Import.objects.filter(pk=job.pk).update(
            **moved,
            **{name: F(name) + number for name, number in counted.items()},
            attempts=0,
            touched_at=now,
            lease_until=now + timedelta(seconds=LEASE),
        )
        job.position, job.line = batch.position, batch.line
        if batch.at_end:
            _end(job, State.CHECKED if job.state == State.CHECKING else State.FINISHED)


def _check(job: Import, batch: Batch) -> dict[str, int]:
    """Keep the addresses, reject what came before, and count what is known already."""
    addresses.keep(job, {row.email: line for line, row in reversed(batch.leads.items())})
    firsts = addresses.firsts(job, batch.leads.values())
    for line, row in list(batch.leads.items()):
        if firsts[row.email] != line:
            batch.reject(line, "twice", f"The same address is in line {firsts[row.email]}.")
    bad, deleted = len(batch.bad), addresses.deleted(job.brand_id, batch.leads.values())
    for line, row in list(batch.leads.items()):
        if row.email in deleted:
            batch.reject(line, DELETED, DELETED_BEFORE)
    known = len(addresses.known(job.brand_id, batch.leads.values()))
    rejected.record(job, batch.bad)
    return {
        "rows": batch.rows,
        "new": len(batch.leads) - known,
        "known": known,
        "bad": bad,
        "deleted": len(deleted),
    }


def _import(job: Import, batch: Batch) -> dict[str, int]:
    """Merge what the check let pass, less what was deleted here; what the plan has no room for is
    rejected. Nothing happened to a known lead by being in a file, so it keeps its moments."""
    leads.hold_ingest(job.brand_id)  # nothing is deleted or added until the commit
    firsts = addresses.firsts(job, batch.leads.values())
    rows = {line: row for line, row in batch.leads.items() if firsts.get(row.email) == line}
    deleted = addresses.deleted(job.brand_id, rows.values())
    gone = [line for line, row in rows.items() if row.email in deleted]
    rejected.record(job, [_rejected(batch, line, DELETED, DELETED_BEFORE) for line in gone])
    rows = {line: row for line, row in rows.items() if row.email not in deleted}
    known = addresses.known(job.brand_id, rows.values())
    merged = leads.merge(
        brand_id=job.brand_id,
        rows=[replace(r, joined_at=LONG_AGO) if r.email in known else r for r in rows.values()],
    )
    if merged.refusal:
        words = NO_ROOM[merged.refusal]
        new = [line for line, row in rows.items() if row.email not in known]
        left = [_rejected(batch, line, "no_room", words) for line in new[merged.new :]]
        rejected.record(job, left)
    return {
        "done": batch.rows,
        "leads_new": merged.new,
        "leads_changed": merged.changed,
        "left_out": merged.refused,
        "deleted": len(gone),
    }


def _rejected(batch: Batch, line: int, reason: str, words: str) -> rejected.Rejected:
    return rejected.Rejected(line, reason, words, batch.cells[line])


def _end(job: Import, state: Import.State, **fields: object) -> None:
    """Give the row back in its new state, in the caller's transaction."""
    ended = None if state == State.CHECKED else timezone.now()
    release(job, state=state, ended_at=ended, touched_at=timezone.now(), **fields)
    if ended:
        audit.record(f"import.{state}", job, actor=None)
        wake(CLEAN, job.brand_id, job.pk)


def _let_go(job: Import) -> None:
    with scope(job.brand_id):
        release(job, touched_at=timezone.now())
        wake(STRIDE, job.brand_id, job.pk)
