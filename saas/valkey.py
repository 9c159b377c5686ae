"""The connection to Valkey for what all processes share at once: limits and breakers.

What lives here may vanish at any moment (a flush, a restart): it delays work, it never loses any.
"""

from __future__ import annotations

from functools import lru_cache

import redis
from django.conf import settings

PREFIX = "harbor:"


@lru_cache(maxsize=1)
def client() -> redis.Redis:
    """Return this process's client (a pool; safe across threads and forks)."""
    return redis.Redis.from_url(
        settings.REDIS_URL, decode_responses=True, socket_timeout=2, socket_connect_timeout=2
    )
