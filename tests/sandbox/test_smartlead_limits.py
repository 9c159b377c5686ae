"""The stand-in enforces its own limit exactly, and counts what came over it."""

from __future__ import annotations

import time
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from sandbox.smartlead.account import Options
from sandbox.smartlead.limits import Meter
from tests.sandbox.conftest import Running

GAPS = st.lists(st.floats(0, 20, allow_nan=False), max_size=80)


def meter(**limits: object) -> Meter:
    return Meter(Options("s", 1, 1, **limits))  # type: ignore[arg-type]


def calls(counted: Meter, times: list[float]) -> list[bool]:
    allowed = []
    for at in times:
        allowed.append(counted.enter(at) is None)
        if allowed[-1]:
            counted.leave()
    return allowed


@given(gaps=GAPS, limit=st.integers(1, 8))
def test_a_call_is_refused_when_and_only_when_its_window_is_full(
    gaps: list[float], limit: int
) -> None:
    times = [sum(gaps[:n]) for n in range(len(gaps))]
    allowed = calls(meter(calls=limit, window=30), times)
    kept: list[float] = []
    for at, was_allowed in zip(times, allowed, strict=True):
        in_window = [earlier for earlier in kept if earlier > at - 30]
        assert was_allowed == (len(in_window) < limit)
        if was_allowed:
            kept.append(at)


@given(gaps=GAPS)
def test_who_waits_as_told_is_never_refused(gaps: list[float]) -> None:
    counted, now = meter(calls=5, window=30), 1000.0
    for gap in gaps:
        now += gap
        refusal = counted.enter(now)
        if refusal is not None:
            now += refusal.retry_after
            assert counted.enter(now) is None
        counted.leave()


def test_sixty_calls_a_minute_and_not_one_more() -> None:
    counted = meter()
    assert calls(counted, [1000 + n / 10 for n in range(61)]) == [True] * 60 + [False]
    assert calls(counted, [1059.9, 1060.0]) == [False, True]
    report = counted.report()
    assert (report["allowed"], report["refused"], report["over"]) == (61, 2, 2)


def test_a_fixed_window_lets_a_burst_through_at_its_border_and_counts_it_as_over() -> None:
    counted = meter(calls=10, window=60, fixed_window=True)
    assert calls(counted, [1195 + n / 10 for n in range(10)]) == [True] * 10
    assert calls(counted, [1200 + n / 10 for n in range(10)]) == [True] * 10
    assert (counted.over, counted.refused) == (10, 0)


def test_a_key_that_came_over_can_stay_barred_longer_than_it_is_told() -> None:
    counted = meter(calls=1, window=60, penalty=480)
    assert calls(counted, [1000, 1001, 1100, 1480]) == [True, False, False, False]
    assert calls(counted, [1482]) == [True]
    assert (counted.refused, counted.over) == (3, 1)


def test_parallel_calls_over_the_ceiling_are_refused_and_the_most_at_once_is_noted() -> None:
    counted = meter(calls=0, in_flight=2)
    assert [counted.enter(1000) is None for _ in range(3)] == [True, True, False]
    counted.leave()
    assert counted.enter(1000) is None
    assert counted.in_flight_max == 2


def test_the_api_tells_how_much_is_left_and_refuses_with_a_time_to_wait(
    running: Running, new_key: Callable[..., str]
) -> None:
    key = new_key(10, 1, "r3")
    answers = [running.get("/leads/fetch-categories", key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [a.headers["x-ratelimit-remaining"] for a in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"3"}
    refused = answers[-1]
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 60
    assert refused.json() == {
        "error": {
            "code": "RATE_LIMIT_EXCEEDED",
            "message": "Rate limit of 3 requests exceeded",
            "retry_after": wait,
        }
    }
    running.control("clock", advance=wait)
    assert running.get("/leads/fetch-categories", key).status_code == 200
    counted = running.counters(key)
    assert (counted["allowed"], counted["refused"], counted["over"]) == (4, 1, 1)
    assert counted["calls"] == {"categories": 4}
    assert (counted["in_flight"], counted["in_flight_max"]) == (0, 1)


def test_an_export_is_in_flight_until_it_is_read(
    running: Running, new_key: Callable[..., str]
) -> None:
    key = new_key(40_000, 1, "r0")
    path = f"/smartlead/api/v1/campaigns/{running.campaign(key)}/leads-export"
    with running.client.stream("GET", path, params={"api_key": key}) as export:
        parts = export.iter_bytes()
        next(parts)
        assert running.counters(key)["in_flight"] == 1
        running.get("/campaigns", key)
    deadline = time.monotonic() + 20
    while running.counters(key)["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.05)
    counted = running.counters(key)
    assert (counted["in_flight"], counted["in_flight_max"]) == (0, 2)


def test_an_unlimited_account_says_nothing_of_limits(
    running: Running, new_key: Callable[..., str]
) -> None:
    key = new_key(10, 1, "r0")
    answers = [running.get("/leads/fetch-categories", key) for _ in range(70)]
    assert {answer.status_code for answer in answers} == {200}
    assert "x-ratelimit-limit" not in answers[0].headers


def test_limits_can_change_and_counters_start_over_without_freeing_the_window(
    running: Running, new_key: Callable[..., str]
) -> None:
    key = new_key(10, 1)
    running.control("accounts", key=key, calls=1)
    assert running.get("/campaigns", key).status_code == 200
    running.client.delete("/smartlead/_control/counters", params={"key": key})
    assert running.counters(key)["allowed"] == 0
    assert running.get("/campaigns", key).status_code == 429
