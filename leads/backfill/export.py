"""A campaign from its export: one call, streamed, merged BATCH rows a transaction.

The cursor counts the rows that were committed and keeps their digest. A stride that goes on with
an export reads it anew and passes over those rows; if they are not the same rows any more, it takes
them all in again, which changes nothing that is known. So neither a kill nor a shifted order loses
a row, and memory holds one batch.

An export that does not work (524, 4xx, HTML, no columns) falls back to pages, and after
DISTRUST_AFTER campaigns without one success the whole run reads the account's list
(leads.backfill.whole), and pages for what that leaves out.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2s
from itertools import islice
from typing import Any

from django.db.models import F
from django.utils import timezone

from leads.backfill import progress, whole
from leads.backfill.commit import Delta, Stopped
from leads.backfill.jobs import ExportJob
from leads.ingest import leads, rejections
from leads.ingest.ahead import read_ahead
from leads.ingest.csvtext import NotCsv, lines, records
from leads.ingest.leads import BATCH
from leads.ingest.rows import BadRow, LeadRow
from leads.models import Backfill, Category, Cursor
from leads.smartlead import client, parse
from leads.smartlead.errors import Faulty
from leads.smartlead.gate import Pass
from saas.errors import HarborError, Refused
from saas.leases import hold
from saas.tenancy import scope

DISTRUST_AFTER = 3
TRIES = 3  # of one campaign's export
RENEW_SECONDS = 10.0  # while rows are passed over nothing else renews the lease

State, Source = Cursor.State, Cursor.Source


def stream(
    backfill: Backfill, job: ExportJob, leave: Pass, *, lease: float, over: Callable[[], bool]
) -> Delta:
    """Take in the export until it ends, `over` says so after a batch, or billing refuses.

    Raises LeaseLost, Stopped, and what the call raises; `failed` then says what to do about it.
    Every batch commits by itself and renews the lease by `lease` seconds.
    """
    key = backfill.connection.api_key

    def fetch() -> tuple[Delta, Any]:
        asked_at = timezone.now()
        with client.lead_export(key.reveal(), job.remote_id) as (chunks, answer):
            try:
                delta = _take(backfill, job, chunks, as_of=asked_at, lease=lease, over=over)
                return delta, answer
            except NotCsv as e:
                raise Faulty("an export that is not CSV") from e

    delta: Delta = leave.go(fetch)
    return delta


def _take(
    backfill: Backfill,
    job: ExportJob,
    chunks: Iterator[bytes],
    *,
    as_of: datetime,
    lease: float,
    over: Callable[[], bool],
) -> Delta:
    with scope(backfill.brand_id):
        cursor = Cursor.objects.get(pk=job.cursor_id)
        categories = {
            name.lower(): number
            for name, number in Category.objects.values_list("name", "remote_id")
        }
    digest = blake2s(digest_size=16)
    source = _digested(records(lines(chunks)), digest)
    rows = parse.export(source, categories)
    if not _pass_over(backfill, cursor, rows, digest, lease=lease):
        cursor.position, cursor.digest = 0, ""
        with scope(backfill.brand_id):
            hold(backfill)  # a stride that lost its lease must not reset its successor's
            Cursor.objects.filter(pk=cursor.pk).update(position=0, digest="")
        raise Faulty("an export in another order")
    done = Delta()
    for batch in read_ahead(_batches(rows, digest, job.campaign_id)):
        delta = _commit(backfill, job, batch, as_of=as_of, lease=lease)
        done += delta
        if batch.at_end or delta.refusal or over():
            break
    return done


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of an export, the digest of all up to its last, and whether there are no more."""

    rows: int
    good: leads.Staged
    bad: list[BadRow]
    digest: str
    at_end: bool


def _batches(
    rows: Iterator[LeadRow | BadRow], digest: Any, campaign_id: int | None
) -> Iterator[Batch]:
    while True:
        batch = list(islice(rows, BATCH))
        good = [row for row in batch if isinstance(row, LeadRow)]
        bad = [row for row in batch if isinstance(row, BadRow)]
        at_end = len(batch) < BATCH
        staged = leads.stage([(campaign_id, good)])
        yield Batch(len(batch), staged, bad, digest.hexdigest(), at_end)
        if at_end:
            return


def _digested(
    source: Iterator[list[str] | csv.Error], digest: Any
) -> Iterator[list[str] | csv.Error]:
    """Hand the records through, adding each to the digest by what tells it from others."""
    for record in source:
        text = "\x1f".join(record[:2]) if isinstance(record, list) else repr(record)
        digest.update(text.encode("utf-8", "surrogatepass") + b"\x1e")
        yield record


def _pass_over(
    backfill: Backfill, cursor: Cursor, rows: Iterator[Any], digest: Any, *, lease: float
) -> bool:
    """Read the rows that were committed before; tell whether they are the same ones."""
    renewed = time.monotonic()
    for number in range(cursor.position):
        if next(rows, None) is None:
            return False
        if number % 1000 == 0 and time.monotonic() - renewed > RENEW_SECONDS:
            renewed = time.monotonic()
            with scope(backfill.brand_id):
                _renew(backfill, lease)
    return not cursor.position or cursor.digest == digest.hexdigest()


def _renew(backfill: Backfill, lease: float) -> Backfill:
    """Hold the run and keep its lease; raise LeaseLost or Stopped."""
    row = hold(backfill)
    if row.state not in Backfill.CARRIED:
        raise Stopped
    until = timezone.now() + timedelta(seconds=lease)
    Backfill.objects.filter(pk=row.pk).update(lease_until=until)
    return row


def _commit(
    backfill: Backfill, job: ExportJob, batch: Batch, *, as_of: datetime, lease: float
) -> Delta:
    """Commit one batch with its cursor and counters, in one transaction."""
    with scope(backfill.brand_id):
        row = _renew(backfill, lease)
        merged = leads.merge_staged(brand_id=row.brand_id, staged=batch.good, as_of=as_of)
        delta = Delta(leads=merged)
        if merged.refusal is None:
            rejected = rejections.record(
                brand_id=row.brand_id,
                source="leads",
                bad=batch.bad,
                campaign_id=job.campaign_id,
                backfill_id=row.pk,
            )
            delta = Delta(leads=merged, rejected=rejected)
            _move(job, batch)
        _count(row, delta, calls=int(batch.at_end))
    return delta


def _move(job: ExportJob, batch: Batch) -> None:
    """Move the cursor past the batch. Fewer rows than SmartLead counts: pages fetch the rest."""
    cursor = Cursor.objects.get(pk=job.cursor_id)
    cursor.position += batch.rows
    cursor.digest = batch.digest
    cursor.failures = 0
    if batch.at_end and cursor.position >= (cursor.total or 0):
        cursor.total, cursor.state = cursor.position, State.DONE
        _no_ranks_needed(cursor)
    elif batch.at_end:
        _fall_back(cursor)
    cursor.save()


def _no_ranks_needed(cursor: Cursor) -> None:
    """The export said who replied, so the pages that would say it are not wanted."""
    Cursor.objects.filter(
        backfill_id=cursor.backfill_id, campaign_id=cursor.campaign_id, kind=Cursor.Kind.REPLIED
    ).update(state=State.DONE)


def _count(row: Backfill, delta: Delta, *, calls: int) -> None:
    Backfill.objects.filter(pk=row.pk).update(
        calls=F("calls") + calls,
        leads_seen=F("leads_seen") + delta.leads_read,
        leads_new=F("leads_new") + delta.leads.new,
        leads_changed=F("leads_changed") + delta.leads.changed,
        rejected=F("rejected") + delta.rejected,
        attempts=0,
        pushbacks=0,
        last_error="",
    )
    progress.add(row, timezone.now(), calls=calls, leads=delta.leads_read, messages=0)


def failed(backfill: Backfill, job: ExportJob, error: HarborError) -> None:
    """Count the failure; fall back to pages where another try is no use."""
    with scope(backfill.brand_id):
        row = hold(backfill)
        cursor = Cursor.objects.get(pk=job.cursor_id)
        cursor.failures += 1
        if isinstance(error, Refused) or cursor.failures >= TRIES:
            _fall_back(cursor)
        cursor.save()
        if _distrusted(row):
            Cursor.objects.filter(backfill=row, state=State.OPEN, source=Source.EXPORT).update(
                source=Source.PAGES, fell_back=True, position=0, digest="", failures=0
            )
            if row.kind == Backfill.Kind.FULL:  # a sync reads whole what is new, which is little
                whole.begin(row)
        detail = str(getattr(error, "detail", "") or error)[:300]
        Backfill.objects.filter(pk=row.pk).update(calls=F("calls") + 1, last_error=detail)
        progress.add(row, timezone.now(), calls=1, leads=0, messages=0)


def _fall_back(cursor: Cursor) -> None:
    """Read pages from the first: nothing says that they are in the export's order."""
    cursor.source, cursor.fell_back = Source.PAGES, True
    cursor.position, cursor.digest, cursor.failures = 0, "", 0


def _distrusted(row: Backfill) -> bool:
    """Tell whether exports never worked in this run, often enough not to try them again."""
    cursors = Cursor.objects.filter(backfill=row, kind=Cursor.Kind.LEADS)
    if cursors.filter(source=Source.EXPORT, state=State.DONE).exists():
        return False
    return cursors.filter(fell_back=True).count() >= min(DISTRUST_AFTER, cursors.count())
