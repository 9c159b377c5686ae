"""The Celery application: queues, schedule, and the one way to wake work.

PostgreSQL owns the work; a message only says "look now". So every task is short, idempotent and
acknowledged late, a lost message costs a sweep's delay, and losing the broker loses nothing.
"""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import structlog
from celery import Celery, Task
from celery.schedules import crontab
from celery.signals import (
    beat_init,
    worker_init,
    worker_process_init,
    worker_ready,
    worker_shutting_down,
)
from django.db import connections, transaction
from kombu.exceptions import OperationalError

from saas import context
from saas.errors import Misconfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings")
log = structlog.get_logger(__name__)

QUEUES = ("default", "backfill", "bulk", "webhooks")
# Longer waits are rows with a time, found by a sweep: Redis redelivers what outlives the
# visibility time-out (settings.CELERY_BROKER_TRANSPORT_OPTIONS).
LONGEST_COUNTDOWN = 60.0


class Flag:
    """Said once, seen by all forked processes. A byte of shared memory without a lock: a process
    that is killed in the middle of an Event's `is_set` would leave the others waiting for ever."""

    def __init__(self) -> None:
        self._byte = multiprocessing.get_context("fork").RawValue("b", 0)

    def set(self) -> None:
        self._byte.value = 1

    def is_set(self) -> bool:
        return bool(self._byte.value)


# Set when this worker is told to stop, so that work which can be cut anywhere gives itself back
# instead of making the stop wait.
stopping = Flag()


class ContextTask(Task):  # type: ignore[type-arg]
    """Carries the sender's request id into the worker, for logs, audit and Sentry."""

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        headers = {**(kwargs.pop("headers", None) or {}), "harbor": context.bound()}
        return super().apply_async(*args, headers=headers, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        request = self.request  # a worker merges headers into the request; eager runs don't
        sent: dict[str, Any] = (
            getattr(request, "harbor", None) or (request.headers or {}).get("harbor") or {}
        )
        inherited = {k: v for k, v in sent.items() if k in ("request_id", "user_id")}
        with context.bind(**inherited, task_id=self.request.id):
            return super().__call__(*args, **kwargs)


app = Celery("harbor", task_cls=ContextTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

app.conf.task_routes = {
    "leads.bulk": {"queue": "bulk"},
    # Not behind the strides, which keep a worker for seconds each: the sweep is what revives them.
    "leads.sweep": {"queue": "default"},
    "leads.*.sweep": {"queue": "default"},
    "leads.sync.due": {"queue": "default"},
    "leads.inbox.*": {"queue": "webhooks"},
    "leads.*": {"queue": "backfill"},
    "billing.inbox.*": {"queue": "webhooks"},
}
# name -> (task, seconds or crontab). A sweep repairs what a lost message left behind.
app.conf.beat_schedule = {
    "heartbeat": {"task": "saas.heartbeat", "schedule": 15.0},
    "sweep mails": {"task": "accounts.mail.sweep", "schedule": 30.0},
    "sweep erasures": {"task": "accounts.brand.sweep", "schedule": 300.0},
    "sweep sessions": {"task": "accounts.sessions.sweep", "schedule": 3600.0},
    "sweep backfills": {"task": "leads.sweep", "schedule": 15.0},
    "sweep imports": {"task": "leads.files.sweep", "schedule": 30.0},
    "sweep changes of leads": {"task": "leads.work.sweep", "schedule": 30.0},
    "vpn sweep": {"task": "vpn.sweep", "schedule": 30.0},
    "start syncs": {"task": "leads.sync.due", "schedule": 60.0},
    "smartlead inbox": {"task": "leads.inbox.sweep", "schedule": 20.0},
    "stripe inbox": {"task": "billing.inbox.sweep", "schedule": 20.0},
    "stripe catch-up": {"task": "billing.inbox.catch_up", "schedule": 600.0},
    "stripe operations": {"task": "billing.operations.sweep", "schedule": 30.0},
    "standing": {"task": "billing.standing.sweep", "schedule": 60.0},
    "usage": {"task": "billing.usage.sweep", "schedule": 300.0},
    "renewals": {"task": "billing.renewals.sweep", "schedule": 900.0},
    "prune stripe inbox": {"task": "billing.inbox.prune", "schedule": crontab(hour=3, minute=37)},
    "prune jobs": {"task": "saas.prune_jobs", "schedule": crontab(hour=3, minute=17)},
}


def wake(task: str, *args: Any, after: float = 0.0) -> None:
    """Send `task` when the transaction commits, `after` seconds later.

    Survives a dead broker and skips waits over LONGEST_COUNTDOWN: the row is there, and its sweep
    will find it. Safe to repeat: tasks are idempotent.
    """
    if after > LONGEST_COUNTDOWN:
        return

    def send() -> None:
        try:
            app.signature(task, args=args).apply_async(countdown=after, retry=False)
        except OperationalError:
            # Late: the metrics library looks for its folder, a setting, when it is imported.
            from saas.observability.metrics import WAKES_LOST

            WAKES_LOST.inc()
            log.warning("celery.wake_lost", task=task, exc_info=True)

    transaction.on_commit(send)


@worker_init.connect
@beat_init.connect
def _refuse_what_is_dangerous(**_: Any) -> None:
    """Stop before the first task; an ordinary exception in a signal would only be logged."""
    from saas import checks  # it needs the models

    try:
        checks.refuse()
    except Misconfigured as e:
        raise SystemExit(str(e)) from e
    finally:
        _forget_inherited_connections()  # the children open their own


@worker_process_init.connect
def _forget_inherited_connections(**_: Any) -> None:
    # A pool's threads don't survive the fork; the child opens its own on first use.
    for connection in connections.all(initialized_only=True):
        connection.close()
        close_pool = getattr(connection, "close_pool", None)
        if close_pool:
            close_pool()


@worker_shutting_down.connect
def _say_stopping(**_: Any) -> None:
    stopping.set()


@worker_ready.connect
@beat_init.connect
def _say_ready(**_: Any) -> None:
    """Tell whoever started us (`manage.py up`, the tests) that messages are now taken."""
    ready_file = os.environ.get("HARBOR_READY_FILE")
    if ready_file:
        Path(ready_file).touch()
