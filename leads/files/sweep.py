"""The sweep of imports: wakes what nobody carries, ends what nobody wants, deletes what is over."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from leads.files import control, store
from leads.files.job import BOX, CLEAN, STRIDE
from leads.models import Import, ImportRejection
from saas.celery import wake
from saas.errors import Refused
from saas.jobs import job
from saas.leases import free
from saas.tenancy import everyone, scope

OVERDUE = timedelta(seconds=5)  # a stride that is only late in the queue needs no second one
BROKEN_OFF = timedelta(minutes=15)  # an upload that no byte came of
UNWANTED = timedelta(days=1)  # a file that nobody went on with
REJECTIONS_KEPT = timedelta(days=30)
MOST = 500
State = Import.State


def run() -> None:
    """Sweep once. Safe to repeat and to run twice at a time."""
    with job("leads.files.sweep") as trace:
        now = timezone.now()
        woken = _wake(STRIDE, Q(state__in=Import.CARRIED), now)
        ended = _end_unwanted(now)
        emptied = _wake(CLEAN, ~Q(state__in=Import.LIVE), now)
        with everyone("drop rejected rows of old imports"):
            old = ImportRejection.objects.filter(job__ended_at__lt=now - REJECTIONS_KEPT)
            ImportRejection.objects.filter(pk__in=old.values("pk")[:20_000]).delete()
        trace.note(f"woke {woken}, ended {ended}, emptying {emptied}")


def clean(brand_id: int, import_id: int) -> None:
    """Delete the file of an import that is over, for at most BOX seconds. Safe to repeat."""
    with scope(brand_id):
        found = Import.objects.exclude(state__in=Import.LIVE).filter(pk=import_id, emptied_at=None)
        over = found.first()
    if over is None:
        return
    until = time.monotonic() + BOX
    while store.drop_some(over, store.DROP_CHUNKS, store.DROP_ADDRESSES):
        if time.monotonic() > until:
            with scope(brand_id):
                wake(CLEAN, brand_id, import_id)
            return
    with scope(brand_id):
        Import.objects.filter(pk=import_id).update(emptied_at=timezone.now())


def _wake(task: str, which: Q, now: datetime) -> int:
    with everyone("sweep imports"):
        late = Import.objects.filter(free(), which, emptied_at=None, touched_at__lt=now - OVERDUE)
        found = list(late.order_by("touched_at")[:MOST])
        Import.objects.filter(pk__in=[row.pk for row in found]).update(touched_at=now)
        for row in found:
            wake(task, row.brand_id, row.pk)
    return len(found)


def _end_unwanted(now: datetime) -> int:
    with everyone("sweep imports that nobody goes on with"):
        broken = Q(state=State.UPLOADING, touched_at__lt=now - BROKEN_OFF)
        waiting = Q(state__in=Import.WAITING, touched_at__lt=now - UNWANTED)
        found = list(Import.objects.filter(broken | waiting)[:MOST])
    ended = 0
    for row in found:
        try:
            control.cancel(
                brand_id=row.brand_id, import_id=row.pk, actor=None, reason="nobody went on with it"
            )
            ended += 1
        except Refused:  # somebody went on in the same moment
            continue
    return ended
