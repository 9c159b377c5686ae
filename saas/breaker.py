"""Circuit breakers, shared by every worker.

Closed: calls pass. FAILURES in a row open it for OPEN_SECONDS: nobody calls. Then one probe, across
all workers, decides: its success closes the breaker, its failure opens it again. What a call that
began before the opening reports while it is open is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import redis
import structlog

from saas import valkey
from saas.ratelimit import COORDINATION_WAIT, Wait

log = structlog.get_logger(__name__)

FAILURES = 5
OPEN_SECONDS = 60
PROBE_SECONDS = 30  # a probe whose worker was killed is given up after this

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
ADMIT = (
    _NOW
    + """
local s = redis.call('HMGET', KEYS[1], 'open_until', 'probe_until')
if not s[1] then return 0 end
if tonumber(s[1]) > now then return tonumber(s[1]) - now end
if s[2] and tonumber(s[2]) > now then return tonumber(s[2]) - now end
redis.call('HSET', KEYS[1], 'probe_until', now + tonumber(ARGV[1]))
return 0
"""
)
SUCCESS = """
local s = redis.call('HMGET', KEYS[1], 'open_until', 'probe_until')
if s[1] and not s[2] then return 0 end
return redis.call('DEL', KEYS[1])
"""
FAILURE = (
    _NOW
    + """
local s = redis.call('HMGET', KEYS[1], 'open_until', 'probe_until')
if s[1] and not s[2] then return 0 end
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
if redis.call('HSETNX', KEYS[1], 'from:' .. ARGV[4], 1) == 1 then
  redis.call('HINCRBY', KEYS[1], 'sources', 1)
end
local sources = tonumber(redis.call('HGET', KEYS[1], 'sources'))
redis.call('PEXPIRE', KEYS[1], 3600000)
if s[1] or (failures >= tonumber(ARGV[1]) and sources >= tonumber(ARGV[3])) then
  redis.call('HSET', KEYS[1], 'open_until', now + tonumber(ARGV[2]))
  redis.call('HDEL', KEYS[1], 'probe_until')
  return 1
end
return 0
"""
)
STATE = _NOW + "return {now, redis.call('HMGET', KEYS[1], 'open_until', 'failures')}"


@dataclass(frozen=True)
class State:
    """`retry_in` seconds is 0 unless open; `failures` in a row."""

    name: Literal["closed", "open", "half_open", "unknown"]
    retry_in: float
    failures: int


@lru_cache(maxsize=8)
def _script(text: str) -> Any:
    return valkey.client().register_script(text)


class Breaker:
    """The breaker called `name`, e.g. `smartlead:brand:7` or `smartlead`.

    It opens when FAILURES in a row came from at least `sources` different ones: what many share
    must not be closed to all by the faults of one.
    """

    def __init__(self, name: str, *, sources: int = 1) -> None:
        self.name = name
        self.sources = sources
        self._keys = [f"{valkey.PREFIX}breaker:{name}"]

    def admit(self) -> Wait | None:
        """Return None when a call may go out, else how long to wait.

        Whoever is admitted must report `success` or `failure`. With Valkey out of reach: Wait.
        """
        milliseconds = self._run(ADMIT, PROBE_SECONDS * 1000)
        if milliseconds is None:
            return Wait(COORDINATION_WAIT, "coordination")
        return Wait(int(milliseconds) / 1000, "breaker") if milliseconds else None

    def success(self) -> None:
        """Report an answer of the service: closes a probed breaker, resets the count."""
        self._run(SUCCESS)

    def failure(self, source: str = "") -> bool:
        """Report a fault of the service (not of the request). True: this one opened it."""
        opened = bool(self._run(FAILURE, FAILURES, OPEN_SECONDS * 1000, self.sources, source))
        if opened:
            log.warning("breaker.opened", breaker=self.name, seconds=OPEN_SECONDS)
        return opened

    def state(self) -> State:
        """Return the state for people and metrics; decides nothing."""
        answer = self._run(STATE)
        if answer is None:
            return State("unknown", 0.0, 0)
        now, (open_until, failures) = answer
        if not open_until:
            return State("closed", 0.0, int(failures or 0))
        left = (int(open_until) - int(now)) / 1000
        return State("open" if left > 0 else "half_open", max(0.0, left), int(failures or 0))

    def _run(self, script: str, *args: int | str) -> Any:
        try:
            return _script(script)(keys=self._keys, args=list(args))
        except (redis.ConnectionError, redis.TimeoutError) as e:
            log.warning("breaker.unreachable", breaker=self.name, error=str(e))
            return None
