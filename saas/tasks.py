"""The ground floor's own tasks."""

from __future__ import annotations

from celery import shared_task
from django.core.cache import cache
from django.utils import timezone

from saas.jobs import job, prune

HEARTBEAT = "beat:heartbeat"


@shared_task(name="saas.heartbeat")
def heartbeat() -> None:
    """Note that beat, broker and a worker all work; /health/deep reads it. Safe to repeat."""
    cache.set(HEARTBEAT, timezone.now().timestamp(), timeout=3600)


@shared_task(name="saas.prune_jobs")
def prune_jobs() -> None:
    """Delete old traces of jobs (jobs.KEPT). Safe to repeat."""
    with job("saas.prune_jobs") as trace:
        trace.note(f"{prune()} old runs deleted")
