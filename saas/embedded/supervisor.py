"""Starts services in order, keeps them running, and stops them in reverse, losing no task.

Each service runs in a session of its own, so Ctrl-C reaches only the supervisor. It signals one
main process at a time and waits for it: a Celery worker told first, alone and with time finishes
what it has begun, while the database, the cache and the stand-ins it needs are still up.

A service that dies is started again, as systemd would in production, because that is what the
system is built to survive and a developer should see it happen. Three deaths within a minute mean
that starting again does not help: everything stops, and the sentence names the log.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Protocol

from saas.embedded.processes import Child, Identity, read_identity, tail, wait_until
from saas.errors import Misconfigured

DEATHS = 3
WITHIN = 60.0
Say = Callable[[str], None]


class Service(Protocol):
    name: str
    log: Path

    def start(self) -> None:
        """Returns when it is ready; raises Misconfigured."""

    def exit_code(self) -> int | None: ...

    @property
    def pid(self) -> int | None: ...

    def stop(self) -> bool:
        """Returns whether it went by itself."""


class Program:
    """A service that is one command: ready when `ready()` says so, stopped by SIGTERM."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        folder: Path,
        env: Mapping[str, str],
        ready: Callable[[], bool] | None = None,
        ready_timeout: float = 120,
        stop_timeout: float = 15,
    ) -> None:
        self.name = name
        self.log = folder / "log" / f"{name}.log"
        self.stop_timeout = stop_timeout
        self._ready_file = folder / "ready" / name
        self._ready = ready or self._ready_file.exists
        self._ready_timeout = ready_timeout
        self._child = Child(
            name,
            argv,
            log=self.log,
            pid_file=folder / "run" / f"{name}.json",
            env={**env, "HARBOR_READY_FILE": str(self._ready_file)},
        )

    def launch(self) -> None:
        """Start it without waiting."""
        self._ready_file.parent.mkdir(parents=True, exist_ok=True)
        self._ready_file.unlink(missing_ok=True)
        self._child.start()

    def wait(self, given_up: Callable[[], bool] = lambda: False) -> None:
        """Wait until it is ready, or `given_up()`."""
        self._child.wait_ready(lambda: given_up() or self._ready(), self._ready_timeout)

    def start(self) -> None:
        self.launch()
        self.wait()

    def exit_code(self) -> int | None:
        return self._child.exit_code()

    @property
    def pid(self) -> int | None:
        return self._child.pid

    def stop(self) -> bool:
        return self._child.stop(signal.SIGTERM, self.stop_timeout)


class Supervisor:
    """Owns the services from the first start to the last stop. Use as a context manager."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.stopping = threading.Event()
        self._services: list[Service] = []
        self._deaths: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=DEATHS))
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Supervisor:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._previous[number] = signal.signal(number, self._asked_to_stop)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop_all()
        finally:
            for number, handler in self._previous.items():
                signal.signal(number, handler)  # type: ignore[arg-type]

    def start(self, *services: Service) -> None:
        """Start services that need each other, one after the other."""
        for service in services:
            if self.stopping.is_set():
                return
            began = time.monotonic()
            self._services.append(service)
            service.start()
            self._started(service, began)

    def launch(self, *programs: Program) -> None:
        """Start programs that don't need each other, at once; `wait` waits for them."""
        for program in programs:
            if self.stopping.is_set():
                return
            self._services.append(program)
            program.launch()

    def wait(self, *programs: Program) -> None:
        began = time.monotonic()
        for program in programs:
            if not self.stopping.is_set():
                program.wait(self.stopping.is_set)
                self._started(program, began)

    def run(self, argv: Sequence[str], *, name: str, log: Path, env: Mapping[str, str]) -> None:
        """Run a command to its end; a failure is Misconfigured with the end of its log."""
        child = Child(name, argv, log=log, env=env)
        child.start()
        while not wait_until(lambda: not child.alive() or self.stopping.is_set(), 3600):
            pass
        if self.stopping.is_set():
            child.stop(signal.SIGTERM, 10)
        elif child.exit_code():
            raise Misconfigured(f"{name} failed. Its log, {log}, ends:\n{tail(log, 30)}")

    def watch(self) -> None:
        """Until asked to stop: start again what dies. Raises Misconfigured for a crash loop."""
        while not self.stopping.wait(0.5):
            for service in self._services:
                code = service.exit_code()
                if code is not None and not self.stopping.is_set():
                    self._revive(service, code)

    def stop_all(self) -> None:
        """Stop in reverse order, each with its own time-out. Safe to repeat."""
        self.stopping.set()
        while self._services:
            service = self._services[-1]
            began = time.monotonic()
            if service.exit_code() is None:
                self.say(f"  {service.name:<10} stopping")
            clean = service.stop()
            took = time.monotonic() - began
            if not clean:
                self.say(f"  {service.name:<10} did not stop in {took:.0f} s and was killed")
            self._services.pop()

    def _started(self, service: Service, began: float) -> None:
        if not self.stopping.is_set():
            self.say(f"  {service.name:<10} ready   {time.monotonic() - began:5.1f} s")

    def _revive(self, service: Service, code: int) -> None:
        how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
        deaths = self._deaths[service.name]
        deaths.append(time.monotonic())
        if len(deaths) == DEATHS and deaths[-1] - deaths[0] < WITHIN:
            raise Misconfigured(
                f"{service.name} was {how}, the third time within a minute, so Harbor stops."
                f" Its log, {service.log}, ends:\n{tail(service.log)}"
            )
        self.say(f"  {service.name:<10} {how}; starting it again")
        try:
            service.start()
        except Misconfigured:
            if service.exit_code() is None:
                raise
            return  # it died on the way, which the next look counts
        self.say(f"  {service.name:<10} runs again")

    def _asked_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        if not self.stopping.is_set():
            self.stopping.set()
            return
        # Asked twice: don't wait for tasks in flight (they are redelivered). The database is
        # left its orderly end, which takes no time.
        for service in self._services:
            pid = service.pid
            if pid and service.name != "postgres" and service.exit_code() is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)


def end_orphans(folder: Path, say: Say) -> None:
    """End what a supervisor that was killed left behind, known by pid and time of start.

    The tasks of a worker that is cut short here are redelivered: they are acknowledged late.
    """
    orphans: list[tuple[float, str, Identity, Path]] = []
    for path in folder.glob("*.json"):
        identity = read_identity(path)
        if identity and identity.alive():
            orphans.append((path.stat().st_mtime, path.stem, identity, path))
        else:
            path.unlink(missing_ok=True)
    if orphans:
        say("  An earlier run was killed; ending what it left behind")
    for _, name, identity, path in sorted(orphans, reverse=True, key=lambda orphan: orphan[0]):
        gentle = signal.SIGINT if name == "postgres" else signal.SIGTERM
        identity.end(gentle, timeout=20)
        path.unlink(missing_ok=True)
