"""Outbound rate limits, shared by every worker: a sliding window and a ceiling in flight.

One Lua script decides atomically, on Valkey's clock. A call is counted from its grant until
`seconds` after its END, so the vendor, who counts arrivals, can't see more than `calls` in any
window however long a call was under way. Over the limit the caller gets a Wait and comes back; it
never fails. After a flush the window starts empty, and the vendor's 429 tightens it again.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis
import structlog

from saas import valkey

log = structlog.get_logger(__name__)

COORDINATION_WAIT = 3.0

ACQUIRE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local calls, window, in_flight = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local told = redis.call('HMGET', KEYS[3], 'blocked_until', 'calls', 'calls_until')
if told[1] and tonumber(told[1]) > now then return {0, tonumber(told[1]) - now, 'vendor'} end
if told[3] and tonumber(told[3]) > now then calls = math.min(calls, tonumber(told[2])) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local used = redis.call('ZCARD', KEYS[1])
if used >= calls then
  local freeing = redis.call('ZRANGE', KEYS[1], used - calls, used - calls, 'WITHSCORES')
  return {0, math.max(1, freeing[2] + window - now + 1), 'window'}
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= in_flight then return {0, 100, 'in_flight'} end
redis.call('ZADD', KEYS[1], now, ARGV[4])
redis.call('PEXPIRE', KEYS[1], window + tonumber(ARGV[5]))
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[5]), ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return {1, calls - used - 1, ''}
"""

RELEASE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[2] == '1' then redis.call('ZADD', KEYS[1], 'XX', now, ARGV[1])
else redis.call('ZREM', KEYS[1], ARGV[1]) end
"""

TIGHTEN = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function later(field, ms)
  local old = tonumber(redis.call('HGET', KEYS[1], field) or 0)
  if ms > 0 and now + ms > old then redis.call('HSET', KEYS[1], field, now + ms) end
end
later('blocked_until', tonumber(ARGV[1]))
if tonumber(ARGV[2]) > 0 then
  redis.call('HSET', KEYS[1], 'calls', ARGV[2])
  later('calls_until', tonumber(ARGV[3]))
end
redis.call('PEXPIRE', KEYS[1], math.max(tonumber(ARGV[1]), tonumber(ARGV[3]), 1000) + 60000)
"""


@dataclass(frozen=True)
class Limit:
    """At most `calls` in any `seconds`, and `in_flight` at once."""

    calls: int
    seconds: float = 60.0
    in_flight: int = 5


@dataclass(frozen=True)
class Permit:
    """Leave to make one call; give it back with `release`. `left`: calls left in the window."""

    key: str
    id: str
    left: int


@dataclass(frozen=True)
class Wait:
    """Come back in `seconds`. `reason`: window, in_flight, vendor, coordination or breaker."""

    seconds: float
    reason: str


def _keys(key: str) -> list[str]:
    return [f"{valkey.PREFIX}limit:{{{key}}}:{part}" for part in ("window", "flight", "told")]


@lru_cache(maxsize=8)
def _script(text: str) -> Any:
    return valkey.client().register_script(text)


def acquire(key: str, limit: Limit, *, hold: float = 60.0) -> Permit | Wait:
    """Ask for leave to make one call under `key`. Never blocks, never raises for a limit.

    `hold` seconds are longer than the longest call: a permit that nobody gives back, because its
    worker was killed, frees its place in flight after that.

    With Valkey out of reach nobody knows what the others do, so the answer is a Wait.
    """
    permit = uuid.uuid4().hex
    args = [limit.calls, int(limit.seconds * 1000), limit.in_flight, permit]
    try:
        granted, number, reason = _script(ACQUIRE)(keys=_keys(key), args=[*args, int(hold * 1000)])
    except (redis.ConnectionError, redis.TimeoutError) as e:
        log.warning("ratelimit.unreachable", key=key, error=str(e))
        return Wait(COORDINATION_WAIT, "coordination")
    if granted:
        return Permit(key, permit, int(number))
    return Wait(int(number) / 1000, str(reason))


def release(permit: Permit, *, used: bool = True) -> None:
    """Give a permit back after the call; `used=False` when no call was made. Safe to repeat."""
    try:
        _script(RELEASE)(keys=_keys(permit.key)[:2], args=[permit.id, int(used)])
    except (redis.ConnectionError, redis.TimeoutError) as e:
        log.warning("ratelimit.unreachable", key=permit.key, error=str(e))  # `hold` frees it


def tighten(
    key: str, *, block: float = 0.0, calls: int | None = None, seconds: float = 300.0
) -> None:
    """Heed the vendor: no call for `block` seconds; at most `calls` a window for `seconds`.

    A shorter block never shortens a longer one.
    """
    args = [int(block * 1000), calls or 0, int(seconds * 1000)]
    try:
        _script(TIGHTEN)(keys=[_keys(key)[2]], args=args)
    except (redis.ConnectionError, redis.TimeoutError) as e:
        log.warning("ratelimit.unreachable", key=key, error=str(e))
