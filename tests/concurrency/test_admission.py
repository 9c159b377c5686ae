"""Many processes insert leads of one brand at once: the quota is met exactly and never passed, and
nobody is admitted after the trial's end.

The first test shows the faults: the same steps without the row lock admit too many, and with the
clock read before the wait for it they admit leads too late.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from billing import entitlements, standing
from billing.admission import Admission, decide
from billing.models import BillingAccount
from saas.tenancy import scope
from tests.concurrency.race import BATCH, ROOM, Race
from tests.factories import make_brand

pytestmark = pytest.mark.slow
ROUNDS = 200


@pytest.fixture
def brand(live_db: Any) -> Any:
    return make_brand()


def admit_unlocked(brand_id: int, wanted: int) -> Admission:
    """The fault: decide on a plain read, then count. The sleep makes the overlap certain."""
    account = BillingAccount.objects.get()
    admission = decide(entitlements.terms(account), wanted, timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.005)")
    BillingAccount.objects.update(leads_used=F("leads_used") + admission.granted)
    return admission


def admit_by_an_early_clock(brand_id: int, wanted: int) -> Admission:
    """The fault: the moment is that before the wait for the lock."""
    return entitlements.admit_leads(brand_id, wanted, timezone.now())


def used(brand: Any) -> int:
    with scope(brand.pk):
        return int(BillingAccount.objects.get().leads_used)


def test_the_race_is_one(brand: Any) -> None:
    """Without the lock too many are admitted; with the clock of before the wait, too late."""
    with connection.cursor() as cursor:  # the trigger would catch it; here it must be seen
        cursor.execute("ALTER TABLE billing_billingaccount DISABLE TRIGGER admission_within_rights")
    faults = [("quota", admit_unlocked)] * 3 + [("end", admit_by_an_early_clock)] * 10
    rounds = Race(brand.pk, faults).run()  # type: ignore[arg-type]
    assert max(one.granted for one in rounds[:3]) > ROOM
    assert max(one.late for one in rounds[3:]) > 0


def test_never_one_lead_over_the_quota_nor_after_the_end_of_the_trial(brand: Any) -> None:
    steps = [("quota", entitlements.admit_leads), ("end", entitlements.admit_leads)] * (ROUNDS // 2)
    rounds = Race(brand.pk, steps).run()  # type: ignore[arg-type]
    quota, end = rounds[::2], rounds[1::2]
    assert {(one.granted, one.leads, one.used) for one in quota} == {(ROOM, ROOM, ROOM)}
    assert {code for one in quota for code in one.refusals} == {"quota_exceeded"}
    assert [one.late for one in end] == [0] * len(end)
    assert all(one.granted == one.leads == one.used for one in end)
    assert {code for one in end for code in one.refusals} == {"trial_expired"}
    # In most rounds the end came while others were in: it was a race.
    assert sum(bool(one.granted and one.refusals) for one in end) > len(end) / 2


def test_a_rollback_gives_back_what_it_was_granted(brand: Any) -> None:
    def fails(number: int) -> None:
        try:
            with scope(brand.pk):
                entitlements.admit_leads(brand.pk, BATCH)
                if number % 2:
                    raise RuntimeError
        except RuntimeError:
            pass
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fails, range(20)))
    assert used(brand) == 10 * BATCH


def test_the_end_of_the_trial_waits_for_the_insert_before_it_and_stops_the_one_after(
    brand: Any,
) -> None:
    """An insert holds the lock; the trial ends; the end waits, and what comes later is refused."""
    with scope(brand.pk):
        ends = BillingAccount.objects.get().trial_ends_at
    inserting, may_commit = threading.Event(), threading.Event()
    order: list[str] = []

    def insert_in_time() -> Admission:
        try:
            with scope(brand.pk):
                admission = entitlements.admit_leads(brand.pk, 10, ends - timedelta(seconds=1))
                inserting.set()
                may_commit.wait(10)
                order.append("inserted")
                return admission
        finally:
            connection.close()

    def end_the_trial() -> None:
        try:
            with scope(brand.pk):
                standing.settle(standing.locked(brand.pk), now=ends)
                order.append("ended")
        finally:
            connection.close()

    def insert_late() -> Admission:
        """Its clock was read before the end, but it gets the lock after it."""
        try:
            with scope(brand.pk):
                return entitlements.admit_leads(brand.pk, 10, ends - timedelta(seconds=1))
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(insert_in_time)
        assert inserting.wait(10)
        end = pool.submit(end_the_trial)
        assert _waiting(1)
        late = pool.submit(insert_late)
        assert _waiting(2)
        may_commit.set()
        assert first.result() == Admission(10, None)
        end.result()
        assert late.result() == Admission(0, "trial_expired")
    assert order == ["inserted", "ended"]
    assert used(brand) == 10


def _waiting(count: int) -> bool:
    """Wait until so many transactions wait for a lock."""
    from saas.embedded.processes import wait_until

    def waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return bool(cursor.fetchone()[0] == count)

    return bool(wait_until(waiting, 60))


def test_without_a_given_clock_it_is_read_after_the_lock_was_won(
    brand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait for the lock must not carry leads over the trial's end."""
    with scope(brand.pk):
        ends = BillingAccount.objects.get().trial_ends_at
    clock = [ends - timedelta(seconds=1)]
    monkeypatch.setattr(entitlements.timezone, "now", lambda: clock[0])
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with scope(brand.pk):
                standing.locked(brand.pk)
                holding.set()
                release.wait(10)
        finally:
            connection.close()

    def insert() -> Admission:
        try:
            with scope(brand.pk):
                return entitlements.admit_leads(brand.pk, 10)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(hold)
        assert holding.wait(10)
        waiting = pool.submit(insert)
        assert _waiting(1)
        clock[0] = ends
        release.set()
        held.result()
        assert waiting.result() == Admission(0, "trial_expired")
