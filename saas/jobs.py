"""Periodic jobs leave a trace: when they ran, how they ended, what they did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from django.utils import timezone

from saas.models import JobRun

log = structlog.get_logger(__name__)
KEPT = timedelta(days=30)


class Trace:
    """What the job says of itself; `note` replaces the last word."""

    detail = ""

    def note(self, detail: str) -> None:
        self.detail = detail


@contextmanager
def job(name: str) -> Iterator[Trace]:
    """Record a run of `name`; an exception is recorded and raised on.

    Call outside of a transaction: the record of a failure must outlive the rollback.
    """
    run = JobRun.objects.create(name=name, started_at=timezone.now())
    trace = Trace()
    try:
        yield trace
    except BaseException as e:
        _finish(run, ok=False, detail=f"{type(e).__name__}: {e}")
        raise
    _finish(run, ok=True, detail=trace.detail)


def _finish(run: JobRun, *, ok: bool, detail: str) -> None:
    JobRun.objects.filter(pk=run.pk).update(finished_at=timezone.now(), ok=ok, detail=detail[:2000])


def prune() -> int:
    """Delete runs older than KEPT; return how many. Safe to repeat."""
    deleted, _ = JobRun.objects.filter(started_at__lt=timezone.now() - KEPT).delete()
    return deleted
