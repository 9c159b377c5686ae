"""The breaker: five faults open it, one probe decides, late reports change nothing."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from saas import valkey
from saas.breaker import FAILURES, Breaker
from saas.ratelimit import Wait


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(f"test:{uuid.uuid4().hex}")


def open_it(breaker: Breaker) -> None:
    for _ in range(FAILURES):
        assert breaker.admit() is None
        breaker.failure()


def pass_time(breaker: Breaker) -> None:
    """Let the minute pass on Valkey's clock, by moving the breaker's end into the past."""
    valkey.client().hset(breaker._keys[0], "open_until", 1)


def test_it_opens_at_the_fifth_fault_in_a_row(breaker: Breaker) -> None:
    for _ in range(FAILURES - 1):
        breaker.failure()
    breaker.success()
    assert breaker.state().failures == 0
    open_it(breaker)
    wait = breaker.admit()
    assert isinstance(wait, Wait)
    assert (wait.reason, 59 < wait.seconds <= 60) == ("breaker", True)


def test_late_reports_neither_close_nor_prolong_it(breaker: Breaker) -> None:
    open_it(breaker)
    breaker.success()
    assert breaker.failure() is False
    assert breaker.state().name == "open"


def test_one_probe_across_all_workers(breaker: Breaker) -> None:
    open_it(breaker)
    pass_time(breaker)
    assert breaker.state().name == "half_open"
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: breaker.admit(), range(16)))
    assert answers.count(None) == 1


def test_the_probes_success_closes_it(breaker: Breaker) -> None:
    open_it(breaker)
    pass_time(breaker)
    breaker.admit()
    breaker.success()
    assert breaker.state().name == "closed"
    assert breaker.admit() is None


def test_the_probes_fault_opens_it_again(breaker: Breaker) -> None:
    open_it(breaker)
    pass_time(breaker)
    breaker.admit()
    assert breaker.failure() is True
    assert breaker.state().name == "open"
