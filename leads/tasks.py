"""The tasks of leads: thin, short, safe to repeat. PostgreSQL owns the work."""

from __future__ import annotations

from celery import shared_task

from leads.backfill import engine, sweep, sync
from leads.files import job
from leads.files import sweep as files_sweep
from leads.hooks import inbox, remote
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


@shared_task(name="leads.inbox.drain")
def drain_inbox() -> None:
    """Work off SmartLead's events that are due."""
    inbox.drain()


@shared_task(name="leads.inbox.sweep")
def sweep_inbox() -> None:
    """Find events and webhooks whose message was lost or whose worker died."""
    inbox.sweep()
    remote.wake_overdue()


@shared_task(name="leads.hooks.setup")
def set_up_webhooks(brand_id: int) -> None:
    """Set webhooks up at SmartLead for a few seconds."""
    remote.carry_on(brand_id)


@shared_task(name="leads.sync.due")
def start_syncs() -> None:
    """Start the regular updates that are due."""
    sync.start_due()


@shared_task(name="leads.files.stride")
def files_stride(brand_id: int, import_id: int) -> None:
    """Carry one import of a file on for a few seconds."""
    job.stride(brand_id, import_id)


@shared_task(name="leads.files.clean")
def files_clean(brand_id: int, import_id: int) -> None:
    """Delete the file of an import that is over, some of it."""
    files_sweep.clean(brand_id, import_id)


@shared_task(name="leads.files.sweep")
def sweep_files() -> None:
    """Wake, end and delete what a lost message or a killed worker left of imports."""
    files_sweep.run()


@shared_task(name="leads.work.stride")
def work_stride(brand_id: int, job_id: int) -> None:
    """Carry one change of many leads on for a few seconds."""
    work.stride(brand_id, job_id)


@shared_task(name="leads.work.sweep")
def sweep_work() -> None:
    """Wake changes of many leads whose worker died or whose message was lost."""
    work.sweep()
