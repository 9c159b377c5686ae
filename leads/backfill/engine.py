"""The engine: one stride carries a backfill on for a few seconds and gives the worker back.

A stride claims the lease, then repeats: choose jobs, take as many permits as there are, call
outside any transaction, commit each result in its own. Out of permits, it says when it is due
again and ends. Whatever kills it, the lease runs out and the sweep wakes the next one; all it
loses is calls that were under way.

Fair: a stride ends after BOX seconds however much is left, and goes to the end of the queue.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from django.utils import timezone

from leads.backfill import endings, export
from leads.backfill.commit import Stopped, commit
from leads.backfill.fetch import Result, fetch_all
from leads.backfill.jobs import CampaignsJob, ExportJob, Job, choose, choose_export
from leads.models import Backfill
from leads.smartlead.client import DEADLINE
from leads.smartlead.errors import LONGEST_WAIT, BadKey, Missing, Pushback
from leads.smartlead.gate import LONGEST_CALL, Gate, Pass
from leads.smartlead.gate import of as gate_of
from saas.celery import stopping, wake
from saas.errors import HarborError, Refused, Retryable
from saas.leases import LeaseLost, claim, release
from saas.ratelimit import Wait
from saas.tenancy import scope

log = structlog.get_logger(__name__)

BOX = 10.0
LEASE = DEADLINE + 15.0  # longer than any call, so that nobody takes over what still runs
SHORT_WAIT = 0.5  # not worth going through the queue for
MOST_AT_ONCE = 5
MOST_CLAIMS = 50  # strides in a row that never came to an end: something of ours is broken

STRIDE, BULK = "leads.stride", "leads.bulk"
SMALL_EXPORT = 20_000  # rows that a stride takes in without keeping the others waiting
BULK_BOX = 240.0  # below the broker's visibility time-out, so that nobody is sent the same again


def stride(brand_id: int, backfill_id: int, *, bulk: bool = False) -> None:
    """Carry the backfill on. Safe to call at any time, by any number of workers at once.

    `bulk`: on a worker of the queue for large exports, which may keep it for BULK_BOX seconds.
    """
    work = _claim(brand_id, backfill_id)
    if work is None:
        return
    if bulk:
        work.bulk = True
        work.until = time.monotonic() + BULK_BOX
    try:
        _walk(work)
    except LeaseLost:
        log.info("backfill.lease_lost", backfill=backfill_id)


@dataclass
class Work:
    """One stride's backfill. `doubt`: the last calls all failed, so ask something harmless too."""

    backfill: Backfill
    gate: Gate
    doubt: bool
    asked: bool = False
    bulk: bool = False
    until: float = field(default_factory=lambda: time.monotonic() + BOX)

    def over(self) -> bool:
        """Tell whether the worker is wanted back: the box is used up, or it is told to stop."""
        return time.monotonic() >= self.until or stopping.is_set()


def _claim(brand_id: int, backfill_id: int) -> Work | None:
    with scope(brand_id):
        ready = Backfill.objects.select_related("connection").filter(
            pk=backfill_id, state__in=Backfill.CARRIED, due_at__lte=timezone.now()
        )
        claimed = claim(ready, seconds=LEASE)
        if not claimed:
            return None
        backfill = claimed[0]
        if backfill.attempts > MOST_CLAIMS:
            endings.fail(backfill, "It stopped again and again for a reason of ours.")
            return None
        if not backfill.connection.usable:
            endings.park(backfill, Backfill.Wait.BAD_KEY)
            return None
    return Work(backfill, gate_of(backfill.connection), doubt=bool(backfill.last_error))


def _walk(work: Work) -> None:
    try:
        while not work.over():
            if not _step(work):
                return
    except Stopped:
        pass  # by a person: the row says how it goes on
    _let_go(work)


def _step(work: Work) -> bool:
    """Fetch and commit one handful of jobs; False when the stride has ended itself."""
    export_job = _next_export(work)
    if export_job:
        return _export(work, export_job)
    jobs = _next_jobs(work)
    if not jobs:
        return _turn(work)
    passes, wait = _passes(work.gate, len(jobs))
    if passes:
        pairs = list(zip(jobs, passes, strict=False))
        return _commit(work, fetch_all(pairs, work.backfill.connection.api_key))
    return _wait(work, wait)


def _wait(work: Work, wait: Wait | None) -> bool:
    """Sleep a moment, True, or give the worker back until a permit is free, False."""
    if wait and wait.seconds > SHORT_WAIT:
        _let_go(work, seconds=wait.seconds, wait=Backfill.Wait(wait.reason))
        return False
    time.sleep(max(wait.seconds if wait else 0.0, 0.02))
    return True


def _next_export(work: Work) -> ExportJob | None:
    with scope(work.backfill.brand_id):
        work.backfill = _fresh(work.backfill)
        return choose_export(work.backfill)


def _export(work: Work, job: ExportJob) -> bool:
    """Stream one export; False when the stride has ended itself. Large ones change the queue."""
    if not work.bulk and (job.total is None or job.total > SMALL_EXPORT):
        _let_go(work, task=BULK)
        return False
    passes, wait = _passes(work.gate, 1, hold=LEASE if not work.bulk else BULK_BOX)
    if not passes:
        return _wait(work, wait)
    try:
        delta = export.stream(work.backfill, job, passes[0], lease=LEASE, over=work.over)
    except (BadKey, Refused, Retryable) as e:
        return _export_failed(work, job, e)
    if delta.refusal:
        return endings.hold_back(work.backfill, delta.refusal)
    return True


def _export_failed(work: Work, job: ExportJob, error: HarborError) -> bool:
    if isinstance(error, BadKey):
        endings.refuse_key(work.backfill)
        return False
    if isinstance(error, Pushback):
        _heed(work, error.after)
        return False
    export.failed(work.backfill, job, error)
    return True


def _next_jobs(work: Work) -> list[Job]:
    most = min(MOST_AT_ONCE, work.gate.limit.in_flight)
    with scope(work.backfill.brand_id):
        work.backfill = _fresh(work.backfill)
        jobs = choose(work.backfill, most)
    if jobs and work.doubt:
        jobs = [CampaignsJob(), *jobs][: max(most, 2)]
    return jobs


def _fresh(backfill: Backfill) -> Backfill:
    fresh: Backfill = Backfill.objects.select_related("connection").get(pk=backfill.pk)
    if fresh.lease_token != backfill.lease_token:
        raise LeaseLost(backfill.pk)
    if fresh.state not in Backfill.CARRIED:
        raise Stopped
    return fresh


def _passes(gate: Gate, most: int, *, hold: float = LONGEST_CALL) -> tuple[list[Pass], Wait | None]:
    """Take up to `most` passes for calls of at most `hold` seconds; with fewer, also the wait."""
    passes: list[Pass] = []
    while len(passes) < most:
        leave = gate.enter(hold=hold)
        if isinstance(leave, Wait):
            return passes, leave
        passes.append(leave)
    return passes, None


def _commit(work: Work, results: Sequence[Result]) -> bool:
    """Commit the results; False when one of them ended the stride."""
    backfill = work.backfill
    delta = commit(backfill, results, lease=LEASE)
    if any(isinstance(result.error, BadKey) for result in results):
        endings.refuse_key(backfill)
        return False
    if delta.refusal and not endings.hold_back(backfill, delta.refusal):
        return False
    pushbacks = [r.error.after for r in results if isinstance(r.error, Pushback)]
    if pushbacks:
        _heed(work, max(pushbacks))
        return False
    answered = any(result.error is None for result in results)
    missing = any(isinstance(result.error, Missing) for result in results)
    work.doubt = not answered or (missing and not work.asked)
    work.asked = work.asked or any(isinstance(result.job, CampaignsJob) for result in results)
    return True


def _heed(work: Work, after: float) -> None:
    """Wait as long as SmartLead asks, and longer each time that it asks again."""
    tries = work.backfill.pushbacks + 1
    seconds = min(max(after, 5.0 * 2**tries), LONGEST_WAIT)
    work.gate.pushed_back(seconds)
    _let_go(work, seconds=seconds, wait=Backfill.Wait.VENDOR, pushbacks=tries)


def _turn(work: Work) -> bool:
    """Nothing is left of this phase: begin the next, True, or end or park the run, False."""
    if work.backfill.phase == Backfill.Phase.LEADS and not work.backfill.full:
        endings.begin_history(work.backfill)
        return True
    endings.settle(work.backfill)
    return False


def _let_go(
    work: Work, *, seconds: float = 0.0, wait: str = "", task: str = STRIDE, **fields: object
) -> None:
    """Give the backfill back, due again in `seconds`, and wake the next stride."""
    with scope(work.backfill.brand_id):
        row = Backfill.objects.select_for_update(no_key=True).get(pk=work.backfill.pk)
        due = timezone.now() + timedelta(seconds=seconds)
        if row.state in Backfill.CARRIED:
            state = endings.waiting_state(row, wait)
            said = row.wait if row.full else wait
            release(work.backfill, due_at=due, state=state, wait=said, attempts=0, **fields)
            wake(task, row.brand_id, row.pk, after=seconds)
        else:
            release(work.backfill)
