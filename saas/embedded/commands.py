"""How each process of the stack is started: one list for `up`, the tests and the Procfile's reader.

Every command uses this interpreter, so the virtual environment need not be activated.
"""

from __future__ import annotations

import sys
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent.parent
QUEUES = "default,backfill,bulk,webhooks"


def web(port: int, *, workers: int = 2, threads: int = 8) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"),
        *("--port", str(port), "--workers", str(workers), "--blocking-threads", str(threads)),
        *("--workers-kill-timeout", "30", "--respawn-failed-workers", "--no-ws"),
        *("--log-level", "warning", "saas.wsgi:application"),
    ]


def worker(
    *, processes: int = 2, name: str = "harbor", application: str = "saas.celery"
) -> list[str]:
    return [
        *(sys.executable, "-m", "celery", "-A", application, "worker", "--pool", "prefork"),
        *("--concurrency", str(processes), "--queues", QUEUES, "--hostname", f"{name}@%h"),
        *("--loglevel", "INFO", "--without-gossip", "--without-mingle"),
    ]


def beat(schedule: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "celery", "-A", "saas.celery", "beat", "--loglevel", "INFO"),
        *("--schedule", str(schedule), "--pidfile", ""),
    ]


def manage(*arguments: str) -> list[str]:
    return [sys.executable, str(BASE / "manage.py"), *arguments]


def module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]
