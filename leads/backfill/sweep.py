"""The sweep: wakes backfills whose stride never came, and those whose reason to wait is over."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from billing import entitlements
from leads.backfill import control, progress, sync
from leads.backfill.endings import STRIDE
from leads.models import Backfill
from saas.celery import wake
from saas.jobs import job
from saas.leases import free
from saas.tenancy import everyone

OVERDUE = timedelta(seconds=5)  # a stride that is only late in the queue needs no second one
STALE_PLAN = timedelta(days=1)
MOST = 500


def run() -> None:
    """Sweep once. Safe to repeat and to run twice at a time."""
    with job("leads.sweep") as trace:
        woken = wake_overdue()
        resumed = resume_admitted()
        with everyone("drop stale plans, roll up rates"):
            now = timezone.now()
            Backfill.objects.filter(
                state=Backfill.State.PLANNED, created_at__lt=now - STALE_PLAN
            ).delete()
            progress.roll_up(now)
            sync.prune()
        trace.note(f"woke {woken}, resumed {resumed}")


def wake_overdue() -> int:
    """Wake every backfill that is due, free and late; return how many."""
    with everyone("sweep backfills"):
        now = timezone.now()
        late = list(
            Backfill.objects.filter(
                free(), state__in=Backfill.CARRIED, due_at__lt=now - OVERDUE
            ).order_by("due_at")[:MOST]
        )
        Backfill.objects.filter(pk__in=[row.pk for row in late]).update(due_at=now)
        for row in late:
            wake(STRIDE, row.brand_id, row.pk)
    return len(late)


def resume_admitted() -> int:
    """Resume runs that billing admits leads for again, should its own call have been lost."""
    with everyone("sweep parked backfills"):
        parked = set(
            Backfill.objects.filter(
                state=Backfill.State.PARKED, wait__in=Backfill.ENTITLEMENT_WAITS
            ).values_list("brand_id", flat=True)
        )
        rights = entitlements.of_many(parked)
    return sum(resume_if_admitted(brand_id, rights[brand_id]) for brand_id in rights)


def resume_if_admitted(brand_id: int, rights: entitlements.Entitlements) -> bool:
    """Resume the brand's run when its rights have room for new leads; tell whether it did."""
    if not rights.leads_left:
        return False
    return control.go_on(
        brand_id, tuple(Backfill.ENTITLEMENT_WAITS), reason="the plan has room again"
    )
