"""The agent's loop: ask, converge, report; for ever, through every fault.

While Harbor can't be reached the tunnel stays as it is and the counters keep growing; nothing is
lost but time. One thread; a stop request is noticed at once while waiting, and after the current
step otherwise.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from vpn.agent import state, x25519
from vpn.agent.api import Api, ApiError, Desired
from vpn.agent.driver import Actual, Driver, DriverError

log = logging.getLogger(__name__)

VERSION = "1"
LONGEST_WAIT = 25.0
BUSY_PAUSE = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


class Stopped(Exception):
    """Raised into a waiting call by the signal handler."""


class Agent:
    """One node's agent. `report_every` is in seconds."""

    def __init__(
        self,
        api: Api,
        driver: Driver,
        folder: Path,
        *,
        report_every: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.api, self.driver, self.folder = api, driver, folder
        self.report_every = report_every
        self.private_key = state.private_key(folder)
        self.public_key = x25519.public_of(self.private_key)
        self.meter = state.load_meter(folder)
        self.wanted: Desired | None = None
        self.error = ""
        self.waiting = False  # in the one call that a signal may interrupt
        self._clock = clock
        self._next_report = 0.0
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask the loop to end after its current step."""
        self._stop.set()

    def run(self) -> None:
        """Work until stopped, then hand in a last report."""
        faults = 0
        while not self._stop.is_set():
            try:
                self.step()
                faults = 0
            except Stopped:
                break
            except (ApiError, DriverError, OSError) as e:
                faults += 1
                pause = backoff(faults, at_least=getattr(e, "after", 0.0))
                log.warning("%s; again in %.0f s", e, pause)
                self.error = "" if isinstance(e, ApiError) else f"{type(e).__name__}: {e}"[:200]
                self._stop.wait(pause)
        self._last_report()

    def step(self) -> None:
        """Ask for news (waiting for them until a report is due), converge, report when due."""
        left = max(self._next_report - self._clock(), 0.0)
        known = self.wanted.version if self.wanted else ""
        news = self._ask(known, min(left, LONGEST_WAIT))
        if news:
            self.wanted = news
        self.converge()
        if news or self._clock() >= self._next_report:
            self.report()
            self._next_report = self._clock() + self.report_every

    def converge(self) -> None:
        """Make the tunnel what Harbor wants; the order is the one that vpn.agent.meter needs."""
        actual = self._see()
        if self.wanted is None:
            return
        self.driver.configure(self.private_key, self.wanted.interface)
        wanted = {peer.public_key: peer for peer in self.wanted.peers}
        surplus = [key for key in actual if key not in wanted]
        missing = [key for key in wanted if key not in actual]
        changed = [key for key in wanted if key in actual and actual[key].wanted != wanted[key]]
        if surplus:
            self.driver.remove(surplus)
            self._see()
        if missing:
            self.meter.begin(missing)
            state.save_meter(self.folder, self.meter)
        if missing or changed:
            self.driver.put([wanted[key] for key in (*missing, *changed)])
        if surplus or missing or changed:
            log.info("peers: %d added, %d removed", len(missing), len(surplus))
        self.error = ""

    def report(self, timeout: float = 10.0) -> None:
        """Report what is. Counters reach the disk before they reach Harbor."""
        self._see()
        self.meter.sample += 1
        state.save_meter(self.folder, self.meter)
        ended = len(self.meter.ended)
        self.api.report(
            {
                "agent": VERSION,
                "public_key": self.public_key,
                "applied": self.wanted.version if self.wanted else "",
                "sample": self.meter.sample,
                "error": self.error,
                "peers": self.meter.readings(),
            },
            timeout=timeout,
        )
        self.meter.reported(ended)
        state.save_meter(self.folder, self.meter)

    def _see(self) -> dict[str, Actual]:
        actual = self.driver.read()
        self.meter.see(self.driver.life(), actual)
        return actual

    def _ask(self, known: str, wait: float) -> Desired | None:
        self.waiting = True
        try:
            if self._stop.is_set():
                raise Stopped
            began = self._clock()
            news = self.api.desired(known, wait)
            # A busy Harbor answers without waiting: then the waiting is ours.
            early = wait - (self._clock() - began)
            if news is None and early > 1:
                self._stop.wait(min(early, BUSY_PAUSE))
            return news
        finally:
            self.waiting = False

    def _last_report(self) -> None:
        try:
            self.report(timeout=3.0)
        except (ApiError, DriverError, OSError) as e:
            log.warning("the last report failed (%s); the next start makes up for it", e)


def backoff(faults: int, *, at_least: float = 0.0) -> float:
    """Return the pause after the `faults`-th fault in a row: exponential, jittered, bounded.

    The jitter keeps many nodes from coming back in step after an outage.
    """
    ceiling = min(FIRST_PAUSE * 2.0 ** (faults - 1), LONGEST_PAUSE)
    return max(random.uniform(ceiling / 2, ceiling), at_least)  # noqa: S311 - no secret
