"""Outbound limits: exact over any window, shared by threads and processes, never an error."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import override_settings

from saas import ratelimit, valkey
from saas.ratelimit import Limit, Permit, Wait


@pytest.fixture
def key() -> str:
    return f"test:{uuid.uuid4().hex}"


def grant(key: str, limit: Limit) -> Permit:
    answer = ratelimit.acquire(key, limit)
    assert isinstance(answer, Permit)
    return answer


def refuse(key: str, limit: Limit) -> Wait:
    answer = ratelimit.acquire(key, limit)
    assert isinstance(answer, Wait)
    return answer


def test_the_window_admits_exactly_its_calls(key: str) -> None:
    limit = Limit(calls=3, seconds=60, in_flight=10)
    assert [grant(key, limit).left for _ in range(3)] == [2, 1, 0]
    wait = refuse(key, limit)
    assert wait.reason == "window"
    assert 55 < wait.seconds <= 60.1


def test_a_window_ends_after_the_end_of_its_calls(key: str) -> None:
    limit = Limit(calls=1, seconds=60, in_flight=10)
    permit = grant(key, limit)
    time.sleep(0.2)
    released = time.monotonic()
    ratelimit.release(permit)  # the call took 0.2 s, so the window is open again 60.2 s after start
    left = refuse(key, limit).seconds
    assert 59.99 - (time.monotonic() - released) < left <= 60.001


def test_no_more_than_the_ceiling_is_in_flight(key: str) -> None:
    limit = Limit(calls=100, seconds=60, in_flight=2)
    first, _ = grant(key, limit), grant(key, limit)
    assert refuse(key, limit).reason == "in_flight"
    ratelimit.release(first)
    ratelimit.release(first)  # safe to repeat
    grant(key, limit)
    assert refuse(key, limit).reason == "in_flight"


def test_a_permit_of_a_killed_worker_frees_its_place_by_itself(key: str) -> None:
    limit = Limit(calls=100, seconds=60, in_flight=1)
    assert isinstance(ratelimit.acquire(key, limit, hold=1), Permit)
    assert refuse(key, limit).reason == "in_flight"
    time.sleep(1.05)
    grant(key, limit)


def test_an_unused_permit_gives_its_call_back(key: str) -> None:
    limit = Limit(calls=1, seconds=60, in_flight=1)
    ratelimit.release(grant(key, limit), used=False)
    grant(key, limit)


def test_a_vendors_block_holds_and_is_never_shortened(key: str) -> None:
    limit = Limit(calls=10)
    ratelimit.tighten(key, block=120)
    ratelimit.tighten(key, block=5)
    wait = refuse(key, limit)
    assert wait.reason == "vendor"
    assert wait.seconds > 110


def test_a_vendors_lower_limit_wins_over_ours(key: str) -> None:
    limit = Limit(calls=10, in_flight=10)
    ratelimit.tighten(key, calls=2, seconds=60)
    grant(key, limit)
    grant(key, limit)
    assert refuse(key, limit).reason == "window"


def test_brands_do_not_share_a_window(key: str) -> None:
    limit = Limit(calls=1)
    grant(key, limit)
    grant(key + ":other", limit)


def test_many_threads_get_exactly_the_limit(key: str) -> None:
    limit = Limit(calls=40, seconds=60, in_flight=1000)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: ratelimit.acquire(key, limit), range(200)))
    assert sum(isinstance(a, Permit) for a in answers) == 40


def test_without_valkey_work_waits() -> None:
    with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
        valkey.client.cache_clear()
        ratelimit._script.cache_clear()
        try:
            assert refuse("k", Limit(1)).reason == "coordination"
            ratelimit.tighten("k", block=1)
            ratelimit.release(Permit("k", "id", 0))
        finally:
            valkey.client.cache_clear()
            ratelimit._script.cache_clear()
