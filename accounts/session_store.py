"""Django's cached_db sessions, in which the key before may lead to the present one for seconds.

Requests that left before a new key reached the browser still carry the old one. Its session then
holds the new key's name and nothing else: it is no session, and whatever ends the new key ends it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from django.contrib.sessions.backends import cached_db
from django.core.cache import cache

MOVED = "_moved"  # [the new key, epoch seconds until which the old one leads there]
GRACE_SECONDS = 10


class SessionStore(cached_db.SessionStore):
    """settings.SESSION_ENGINE."""

    def load(self) -> dict[str, Any]:
        """Read the session, or the one that this key leads to; then the answer sets its cookie."""
        data: dict[str, Any] = super().load()
        while MOVED in data:
            successor, until = data[MOVED]
            self._session_key, self.modified = None, True
            if time.time() >= until:
                return {}
            self._session_key = successor
            data = super().load()
        return data

    def move(self) -> None:
        """Continue under a new key, to which the old one leads. Call with the old row locked.

        Valkey is told before the commit; one that was not told shows the old session, whose key is
        stale and asks PostgreSQL (accounts.sessions.renew_key).
        """
        old, until = self.session_key, time.time() + GRACE_SECONDS
        self.create()
        pointer = {MOVED: [self.session_key, until]}
        self.model.objects.filter(pk=old).update(
            session_data=self.encode(pointer), expire_date=datetime.fromtimestamp(until, UTC)
        )
        cache.set(self.cache_key_prefix + str(old), pointer, GRACE_SECONDS)
