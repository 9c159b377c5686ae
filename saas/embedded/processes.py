"""Child processes that outlive nobody by mistake: each in a session of its own, known by pid file.

A pid alone proves nothing, since the system reuses it. A pid file therefore also holds when the
process started, and only the pair is ever signalled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from saas.errors import Misconfigured

LOG_LIMIT = 10 * 1024 * 1024


@dataclass(frozen=True)
class Identity:
    """One process in the history of this machine: its pid and when it started."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """None when no such process runs (a zombie does not run)."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            return None if Path("/proc/self").exists() else _without_proc(pid)
        return None if fields[0] in "ZX" else cls(pid, f"{boot}/{fields[19]}")

    def alive(self) -> bool:
        return Identity.of(self.pid) == self

    def end(self, sig: signal.Signals, timeout: float) -> bool:
        """Signal the process, wait, and after `timeout` seconds kill its whole session.

        Returns whether it went by itself. A process that is not this one is left alone.
        """
        if not self.alive():
            return True
        with suppress(ProcessLookupError):
            os.kill(self.pid, sig)
        if wait_until(lambda: not self.alive(), timeout):
            return True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        wait_until(lambda: not self.alive(), 5)
        return False


def _without_proc(pid: int) -> Identity | None:
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    started = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return Identity(pid, started) if started else None


def write_identity(path: Path, identity: Identity, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".tmp")
    fresh.write_text(json.dumps({"pid": identity.pid, "started": identity.started, **more}))
    fresh.replace(path)


def read_identity(path: Path) -> Identity | None:
    """None when the file is missing or torn."""
    try:
        data = json.loads(path.read_text())
        return Identity(int(data["pid"]), str(data["started"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def wait_until(condition: Callable[[], bool], timeout: float, every: float = 0.05) -> bool:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(every)
    return True


def open_log(path: Path) -> IO[bytes]:
    """Append to the log; one that has grown large is kept once, as NAME.1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")


def tail(path: Path, lines: int = 12) -> str:
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


class Child:
    """A process we started. `start` may be called again after it ended."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        pid_file: Path | None = None,
        env: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        self.pid_file = pid_file
        self.env = dict(env) if env is not None else None
        self.options = dict(options or {})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open_log(self.log) as out:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self.env,
                **self.options,
            )
        identity = Identity.of(self._process.pid)
        if self.pid_file and identity:
            write_identity(self.pid_file, identity, name=self.name)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def exit_code(self) -> int | None:
        """None while it runs; also 0 before it was ever started."""
        return self._process.poll() if self._process else 0

    def alive(self) -> bool:
        return self.exit_code() is None

    def stop(self, sig: signal.Signals = signal.SIGTERM, timeout: float = 10) -> bool:
        """Signal it, wait up to `timeout` seconds, then kill its session. True: it went by itself.

        Safe to repeat.
        """
        process, clean = self._process, True
        if process is not None and process.poll() is None:
            process.send_signal(sig)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                clean = False
        if process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # what it left behind in its session
            process.wait()
        if self.pid_file:
            self.pid_file.unlink(missing_ok=True)
        return clean

    def wait_ready(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait for `ready`; a child that ends or takes too long is a Misconfigured with its log."""
        if wait_until(lambda: not self.alive() or ready(), timeout) and self.alive():
            return
        what = "did not become ready" if self.alive() else "ended while starting"
        raise Misconfigured(f"{self.name} {what}. Its log, {self.log}, ends:\n{tail(self.log)}")
