"""A change of many leads outlives its workers: killed again and again, it does each lead once."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from leads.ingest import leads
from leads.models import BulkJob, Lead, LeadChange, LeadTag
from leads.search import Filters
from leads.work import bulk, stride
from leads.work.bulk import Wish
from saas.embedded.processes import wait_until
from saas.tenancy import everyone, scope
from tests.factories import make_brand, make_user
from tests.fixtures.processes import Process
from tests.leads.factories import lead_rows, make_campaign

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(600)]

LEADS = 60_000
KILLS = 3


def fresh(brand: Any, job: BulkJob) -> BulkJob:
    with scope(brand):
        row: BulkJob = BulkJob.objects.get(pk=job.pk)
        return row


def lapse() -> None:
    """Let the dead worker's lease run out now, and sweep as beat would."""
    with everyone("chaos"):
        BulkJob.objects.update(lease_until=None)
    time.sleep(stride.OVERDUE.total_seconds())
    stride.sweep()


def test_sigkill_again_and_again(live_db: Any, worker: Callable[[], Process]) -> None:
    dice = random.Random(7)
    owner = make_user()
    brand = make_brand(owner=owner)
    with scope(brand):
        from billing.models import BillingAccount

        BillingAccount.objects.update(lead_quota=100_000)
        campaign = make_campaign().pk
    leads.stream(brand_id=brand.pk, campaign_id=campaign, rows=lead_rows(LEADS))
    with scope(brand):
        wish = Wish(BulkJob.What.TAG, Filters(), tag="hot")
        key = uuid.uuid4()
        job = bulk.start(brand_id=brand.pk, wish=wish, request_key=key, actor=owner)
    victim = worker()
    deaths = []
    for _ in range(KILLS):
        seen = fresh(brand, job).seen
        wait_until(lambda seen=seen: fresh(brand, job).seen > seen, 120)  # type: ignore[misc]
        time.sleep(dice.uniform(0, 0.3))
        victim.kill()
        deaths.append(fresh(brand, job).seen)
        victim = worker()
        lapse()

    def ended() -> bool:
        stride.sweep()
        time.sleep(0.5)
        return not fresh(brand, job).live

    assert wait_until(ended, 240), fresh(brand, job).__dict__
    done = fresh(brand, job)
    assert (done.state, done.seen, done.changed) == ("finished", LEADS, LEADS)
    assert deaths[0] < LEADS  # it did die on the way
    with scope(brand):
        ids = list(LeadChange.objects.values_list("lead_id", flat=True))
        assert len(ids) == len(set(ids)) == LEADS
        assert LeadTag.objects.count() == Lead.objects.count() == LEADS
