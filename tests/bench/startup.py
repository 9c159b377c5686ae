"""How long `manage.py up` takes to its address: the first start, which migrates and makes the demo
data, and the second. Held against ten seconds, and against what no start can do without: loading
Django in one process. Packages are installed already; downloads are not measured."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from saas.embedded import commands
from saas.embedded.machine import free_port
from saas.embedded.postgres import Postgres
from saas.embedded.processes import Child
from tests.bench.result import Result

PROMISED_SECONDS = 10.0


def run() -> Result:
    with tempfile.TemporaryDirectory(prefix="harbor-bench-") as folder:
        Path(folder).chmod(0o755)
        first, _ = once(Path(folder))
        before = children_cpu()
        second, stop = once(Path(folder))
        cpu = children_cpu() - before
        load = load_django(Path(folder))
        erase(Path(folder))
    return Result(
        bench="startup",
        figures={
            "first_start_s": first,
            "second_start_s": second,
            "stop_s": stop,
            "second_start_and_stop_cpu_s": cpu,
        },
        limit={"second_start_promised_s": PROMISED_SECONDS, "load_django_once_s": load},
        ratios={
            "promised_to_second_start": PROMISED_SECONDS / second,
            "load_to_second_start": load / second,
        },
        reach={"promised_to_second_start": 1.0, "load_to_second_start": 0.12},
    )


def environment(folder: Path) -> dict[str, str]:
    """As a person's shell has it: nothing of ours set."""
    kept = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TERM")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    return {**env, "HARBOR_VAR": str(folder)}


def once(folder: Path) -> tuple[float, float]:
    """Seconds from the command to its address, and from SIGTERM to its end."""
    log = folder / "bench.log"
    log.unlink(missing_ok=True)
    child = Child(
        "up",
        commands.manage("up", "--port", str(free_port())),
        log=log,
        env=environment(folder),
    )
    began = time.monotonic()
    child.start()
    try:
        child.wait_ready(lambda: "Harbor runs at" in log.read_text(), timeout=600)
        started = time.monotonic() - began
    finally:
        began = time.monotonic()
        child.stop(timeout=180)
    return started, time.monotonic() - began


def children_cpu() -> float:
    """Processor seconds of all processes below us that have ended: not stretched by other load."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def load_django(folder: Path) -> float:
    env = {**environment(folder), "DJANGO_SETTINGS_MODULE": "saas.settings", "DEBUG": "true"}
    times = []
    for _ in range(3):
        began = time.monotonic()
        command = [sys.executable, "-c", "import django; django.setup()"]
        subprocess.run(command, env=env, cwd=commands.BASE, check=True, capture_output=True)
        times.append(time.monotonic() - began)
    return min(times)


def erase(folder: Path) -> None:
    """As root below a closed folder the database lives elsewhere; leave nothing of it."""
    Postgres(folder).destroy()
