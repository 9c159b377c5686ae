"""The tasks of leads: thin, short, safe to repeat. PostgreSQL owns the work."""

from __future__ import annotations

from celery import shared_task

from leads.backfill import engine, sweep
from leads.work import stride as work


@shared_task(name="leads.stride")
def stride(brand_id: int, backfill_id: int) -> None:
    """Carry one backfill on for a few seconds."""
    engine.stride(brand_id, backfill_id)


@shared_task(name="leads.bulk", soft_time_limit=300, time_limit=330)
def bulk(brand_id: int, backfill_id: int) -> None:
    """Carry a backfill on through a large export, on workers of their own queue."""
    engine.stride(brand_id, backfill_id, bulk=True)


@shared_task(name="leads.sweep")
def sweep_backfills() -> None:
    """Wake what a lost message, a killed worker or a missed event left behind."""
    sweep.run()


@shared_task(name="leads.work.stride")
def work_stride(brand_id: int, job_id: int) -> None:
    """Carry one change of many leads on for a few seconds."""
    work.stride(brand_id, job_id)


@shared_task(name="leads.work.sweep")
def sweep_work() -> None:
    """Wake changes of many leads whose worker died or whose message was lost."""
    work.sweep()
