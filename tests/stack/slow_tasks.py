"""A Celery application with one slow task, run by the tests of the supervisor in a worker."""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery
from celery.signals import worker_ready

app = Celery("slow", broker=os.environ.get("REDIS_URL", "redis://127.0.0.1:1/0"))
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, task_ignore_result=True)


@app.task(name="slow")
def slow(folder: str, seconds: float) -> None:
    """Leave a trace at the start and one at the end."""
    Path(folder, "begun").touch()
    time.sleep(seconds)
    Path(folder, "finished").touch()


@worker_ready.connect
def _ready(**_: object) -> None:
    Path(os.environ["HARBOR_READY_FILE"]).touch()
