"""A backfill outlives its workers: killed again and again, it brings in everything exactly once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.conf import settings

from leads.backfill import sweep
from leads.models import Backfill
from leads.smartlead import gate
from saas import ratelimit
from saas.embedded.processes import wait_until
from saas.tenancy import everyone, scope
from tests.factories import make_brand, make_user
from tests.fixtures.processes import Process, Sandbox
from tests.leads.conftest import Account
from tests.leads.truth import assert_exact

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(900)]
Launch = Callable[[], Process]

KILLS = 6
PATIENCE = 420.0


@pytest.fixture
def account(live_db: Any, sandbox: Sandbox) -> Callable[[str], Account]:
    def make(key: str) -> Account:
        from billing.models import BillingAccount

        owner = make_user()
        brand = make_brand(owner=owner)
        with scope(brand):
            BillingAccount.objects.update(lead_quota=100_000)
        return Account(brand, owner, sandbox, key)

    return make


def lapse(account: Account) -> None:
    """Let the dead worker's lease and permits run out now: time passes, but nobody waits for it."""
    with everyone("chaos"):
        Backfill.objects.filter(brand=account.brand).update(lease_until=None)
    redis.Redis.from_url(settings.REDIS_URL).delete(
        *ratelimit._keys(gate.of(account.run().connection).key)[1:2],
        *ratelimit._keys("smartlead")[1:2],
    )
    time.sleep(sweep.OVERDUE.total_seconds())
    sweep.run()


def finish(account: Account) -> Any:
    """Sweep as beat would until the run ends."""

    def ended() -> bool:
        sweep.run()
        time.sleep(1)
        return account.run().state in ("finished", "failed")

    assert wait_until(ended, PATIENCE), account.run().__dict__
    return account.run()


def test_sigkill_again_and_again(account: Callable[[str], Account], worker: Launch) -> None:
    dice = random.Random(7)
    a = account("sl_kills_2400_3_r0_dup_overlap_bad")
    a.start()
    victim = worker()
    for _ in range(KILLS):
        calls = a.run().calls
        assert wait_until(lambda seen=calls: a.run().calls > seen + 20, 240)  # type: ignore[misc]
        time.sleep(dice.uniform(0, 1.5))
        victim.kill()
        victim = worker()
        lapse(a)
    done = finish(a)
    assert (done.state, done.wait) == ("finished", "")
    assert_exact(a)
    with scope(a.brand):
        from billing.models import BillingAccount
        from leads.models import Lead

        assert BillingAccount.objects.get().leads_used == Lead.objects.count() == done.leads_new


def test_valkey_loses_everything_in_the_middle(
    account: Callable[[str], Account], worker: Launch
) -> None:
    a = account("sl_flush_600_2_r0")
    a.start()
    worker()
    for _ in range(3):
        calls = a.run().calls
        assert wait_until(lambda seen=calls: a.run().calls > seen + 30, 240)  # type: ignore[misc]
        redis.Redis.from_url(settings.REDIS_URL).flushall()
    done = finish(a)
    assert done.state == "finished"
    assert_exact(a)


def test_five_in_a_hundred_answers_are_faulty(
    account: Callable[[str], Account], worker: Launch
) -> None:
    a = account("sl_mixed_600_2_r0")
    a.start()
    kinds = ("500", "524", "html", "empty", "braces", "truncated", "reset", "not_found")
    for seed, kind in enumerate(kinds):
        a.fault(kind, probability=0.05 / len(kinds), seed=seed, delay=0)
    worker()
    done = finish(a)
    a.no_faults()
    assert (done.state, done.rejected) == ("finished", 0)
    assert_exact(a)
