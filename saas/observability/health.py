"""Health: live (the process answers), ready (it can serve), deep (everything it leans on).

Apps register what they lean on: `check("stripe", fn)`; `fn` raises when it is ill.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from redis import RedisError

from saas import valkey
from saas.celery import app
from saas.errors import HarborError
from saas.tasks import HEARTBEAT

log = structlog.get_logger(__name__)
STALE_HEARTBEAT = 90.0
Check = Callable[[], None]
_deep: dict[str, Check] = {}


class Ill(HarborError):
    """A part does not work; the text says which and how, for operators."""


def check(name: str, function: Check) -> None:
    """Register a deep check; it raises Ill (or lets a HarborError through) when ill."""
    _deep[name] = function


def database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def shared_cache() -> None:
    valkey.client().ping()


def migrations() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise Ill("there are unapplied migrations")


def broker() -> None:
    with app.connection_for_write(connect_timeout=2) as link:
        link.ensure_connection(max_retries=1, timeout=2)


def heartbeat() -> None:
    beat = cache.get(HEARTBEAT)
    age = timezone.now().timestamp() - beat if beat else None
    if age is None or age > STALE_HEARTBEAT:
        raise Ill("no heartbeat" if age is None else f"the last heartbeat is {age:.0f} s old")


READY: dict[str, Check] = {"database": database, "cache": shared_cache}
DEEP: dict[str, Check] = {
    **READY,
    "migrations": migrations,
    "broker": broker,
    "heartbeat": heartbeat,
}


def run(checks: dict[str, Check]) -> tuple[bool, dict[str, dict[str, object]]]:
    """Run the checks; return whether all are well, and each one's state and milliseconds."""
    report: dict[str, dict[str, object]] = {}
    for name, function in checks.items():
        began = time.perf_counter()
        try:
            function()
            outcome: dict[str, object] = {"ok": True}
        except (HarborError, DatabaseError, RedisError, OSError) as e:
            log.warning("health.ill", check=name, error=f"{type(e).__name__}: {e}")
            outcome = {"ok": False, "error": str(e) if isinstance(e, Ill) else type(e).__name__}
        outcome["ms"] = round((time.perf_counter() - began) * 1000, 1)
        report[name] = outcome
    return all(part["ok"] for part in report.values()), report


def deep() -> tuple[bool, dict[str, dict[str, object]]]:
    return run({**DEEP, **_deep})
