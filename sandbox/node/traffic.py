"""Devices that browse, watch and sleep: counters that move as time passes."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable

from vpn.agent.driver import Actual
from vpn.agent.memory import MemoryDriver

BUSIEST = 400_000  # bytes a second, at the height of a device's day
HANDSHAKE_EVERY = 120


class BusyDriver(MemoryDriver):
    """Each reading moves every peer's counters by what it used since the last one.

    How much depends on its key and the time alone, so every device has habits of its own.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._now = now
        self._seen = now()

    def read(self) -> dict[str, Actual]:
        now = self._now()
        for key in list(self.peers):
            moved = int(_rate(key, now) * max(now - self._seen, 0))
            last = int(now - now % HANDSHAKE_EVERY)
            self.move(key, received=moved // 9, sent=moved, at=last)
        self._seen = now
        return super().read()


def _rate(key: str, now: float) -> float:
    """Bytes a second that the device of `key` receives at `now`."""
    habit = hashlib.sha256(key.encode()).digest()
    wave = math.sin(now / (40 + habit[1]) + habit[2])
    return BUSIEST * (habit[3] / 255) * max(wave, 0.05)
