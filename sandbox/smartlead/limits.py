"""SmartLead's own rate limit, enforced exactly, and what was counted while doing so."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from sandbox.smartlead.account import Options


@dataclass(frozen=True, slots=True)
class Refusal:
    retry_after: int
    reason: str


@dataclass(slots=True)
class Meter:
    """One account's calls.

    `over` counts calls that came when the trailing window was already full, whether they were
    refused or (in a fixed window's second half) let through; a client that keeps the limit has 0 of
    them.
    """

    options: Options
    allowed: int = 0
    refused: int = 0
    over: int = 0
    in_flight: int = 0
    in_flight_max: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    _trail: deque[float] = field(default_factory=deque)
    _window_start: float = 0
    _window_calls: int = 0
    _barred_until: float = 0

    def enter(self, now: float) -> Refusal | None:
        """Counts a call. None: it may go on, and `leave` must follow."""
        refusal = self._judge(now)
        if refusal is not None:
            self.refused += 1
            if self.options.penalty and self._barred_until <= now:
                self._barred_until = now + self.options.penalty
            return refusal
        self.allowed += 1
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        return None

    def leave(self) -> None:
        self.in_flight -= 1

    def headers(self, now: float) -> dict[str, str]:
        """x-ratelimit-*; none for an account without a limit.

        `reset` is the epoch second when a call is free again.
        """
        limit = self.options.calls
        if not limit:
            return {}
        self._forget(now)
        used = self._window_calls if self.options.fixed_window else len(self._trail)
        free_at = self._free_at(now)
        return {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(max(limit - used, 0)),
            "x-ratelimit-reset": str(math.ceil(free_at)),
        }

    def zero(self) -> None:
        """Counters back to 0. The limit's window, and calls under way, stay."""
        self.allowed = self.refused = self.over = 0
        self.in_flight_max = self.in_flight
        self.calls.clear()
        self.faults.clear()

    def report(self) -> dict[str, Any]:
        return {
            "allowed": self.allowed,
            "refused": self.refused,
            "over": self.over,
            "in_flight": self.in_flight,
            "in_flight_max": self.in_flight_max,
            "calls": dict(self.calls),
            "faults": dict(self.faults),
            "limit": {"calls": self.options.calls, "seconds": self.options.window},
        }

    def _judge(self, now: float) -> Refusal | None:
        limit = self.options.calls
        self._forget(now)
        full = bool(limit) and len(self._trail) >= limit
        self.over += full
        if self._barred_until > now:
            return Refusal(math.ceil(self._barred_until - now), "Too many requests")
        if self.options.in_flight and self.in_flight >= self.options.in_flight:
            return Refusal(1, "Too many parallel requests")
        blocked = self._window_calls >= limit if self.options.fixed_window else full
        if limit and blocked:
            return Refusal(
                max(1, math.ceil(self._free_at(now) - now)),
                f"Rate limit of {limit} requests exceeded",
            )
        if limit:
            self._trail.append(now)
            self._window_calls += 1
        return None

    def _forget(self, now: float) -> None:
        window = self.options.window
        while self._trail and self._trail[0] <= now - window:
            self._trail.popleft()
        start = now - now % window
        if start != self._window_start:
            self._window_start, self._window_calls = start, 0

    def _free_at(self, now: float) -> float:
        if self.options.fixed_window:
            return self._window_start + self.options.window
        return self._trail[0] + self.options.window if self._trail else now + self.options.window
