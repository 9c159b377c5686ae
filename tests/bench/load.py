"""Load over kept-alive connections: as fast as it goes, or at a given rate."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

Request = tuple[str, bytes, dict[str, str]]


@dataclass(frozen=True)
class Outcome:
    """`seconds` are the latencies of the answered requests, sorted."""

    rate: float
    seconds: list[float]
    failed: int

    def quantile(self, share: float) -> float:
        return self.seconds[min(int(len(self.seconds) * share), len(self.seconds) - 1)]


def closed(
    address: tuple[str, int], make: Callable[[], Request], *, seconds: float, connections: int
) -> Outcome:
    """Send on each connection as soon as it has its answer."""
    end = time.perf_counter() + seconds

    def drive(_: int) -> tuple[list[float], int]:
        return _drive(address, make, lambda: time.perf_counter() < end)

    return _together(drive, connections, seconds)


def paced(
    address: tuple[str, int],
    make: Callable[[], Request],
    *,
    rate: float,
    seconds: float,
    connections: int,
) -> Outcome:
    """Send `rate` requests a second; a latency counts from the moment the request was due, so a
    slow answer is not forgiven to those that waited behind it."""
    lock, start = threading.Lock(), time.perf_counter()
    sent = 0

    def due() -> float | None:
        nonlocal sent
        with lock:
            at = start + sent / rate
            sent += 1
        return at if at < start + seconds else None

    def drive(_: int) -> tuple[list[float], int]:
        latencies: list[float] = []
        failed = 0
        line = http.client.HTTPConnection(*address, timeout=30)
        while (at := due()) is not None:
            time.sleep(max(at - time.perf_counter(), 0))
            failed += _send(line, make()) != 200
            latencies.append(time.perf_counter() - at)
        line.close()
        return latencies, failed

    return _together(drive, connections, seconds)


def _drive(
    address: tuple[str, int], make: Callable[[], Request], more: Callable[[], bool]
) -> tuple[list[float], int]:
    latencies: list[float] = []
    failed = 0
    line = http.client.HTTPConnection(*address, timeout=30)
    while more():
        request = make()
        began = time.perf_counter()
        failed += _send(line, request) != 200
        latencies.append(time.perf_counter() - began)
    line.close()
    return latencies, failed


def _send(line: http.client.HTTPConnection, request: Request) -> int:
    path, body, headers = request
    line.request("POST", path, body, headers)
    answer = line.getresponse()
    answer.read()
    return answer.status


def _together(
    drive: Callable[[int], tuple[list[float], int]], connections: int, seconds: float
) -> Outcome:
    with ThreadPoolExecutor(connections) as pool:
        done = list(pool.map(drive, range(connections)))
    latencies = sorted(one for found, _ in done for one in found)
    return Outcome(len(latencies) / seconds, latencies, sum(failed for _, failed in done))
