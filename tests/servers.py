"""The PostgreSQL and the Valkey of one test run, and the environment that points at them.

The controlling process starts them before Django's settings are read; pytest-xdist's workers
inherit the environment and take a database and a Valkey number of their own. The database
`harbor` is migrated once and never written to: it is the template that all others are cloned from.
A migrated cluster is kept under var/ by the hash of everything that shapes it, so that only the
first run after a change of migrations pays for them.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from saas.embedded import commands, privilege
from saas.embedded.machine import free_port
from saas.embedded.postgres import DATABASE, ROLE, Postgres
from saas.embedded.processes import Identity, read_identity, write_identity
from saas.embedded.valkey import Valkey

BASE = commands.BASE
CACHE = Path(os.environ.get("HARBOR_VAR", BASE / "var")) / "test-template"
KEPT = 3
MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes our folder in it
ROOM_IN_MEMORY = 4 * 1024**3
PREFIX = "harbor-test-"
SHAPED_BY = (
    "*/migrations/**/*.py",
    "vendor_migrations/**/*.py",
    "*/apps.py",
    "saas/*.py",
    "saas/embedded/postgres.py",
    "requirements.txt",
)

SECRETS = {
    "SECRET_KEY": "a-secret-key-of-the-tests-that-is-used-nowhere-else-in-the-world",
    "SEALING_KEYS": "t1:" + base64.b64encode(bytes(range(32))).decode(),
    "STRIPE_SECRET_KEY": "sk_test_" + "harbortests" * 4,
    "STRIPE_WEBHOOK_SECRET": "whsec_" + "harbortests" * 3,
    "STRIPE_ACCOUNT_ID": "acct_harbortests",
}


@dataclass
class Servers:
    postgres: Postgres
    valkey: Valkey
    folder: Path

    def stop(self) -> None:
        self.valkey.stop()
        self.postgres.stop(timeout=10)
        self.postgres.destroy()
        shutil.rmtree(self.folder, ignore_errors=True)


def start(*, durable: bool = False) -> Servers:
    """Start both servers, with the template migrated; `durable`: as safe against a crash as in
    production."""
    _clear_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_places()[0]))
    folder.chmod(0o755)  # the server drops root and has to pass; what is secret has mode 0600
    owner = Identity.of(os.getpid())
    if owner:
        write_identity(folder / "owner.json", owner)
    cached = CACHE / _fingerprint()
    postgres = Postgres(
        folder, durable=durable, create_databases=True, pid_file=folder / "postgres.pid.json"
    )
    if cached.exists():
        _restore(cached, postgres)
    postgres.start()
    if not cached.exists():
        _migrate(postgres)
        postgres.stop()
        _keep(cached, postgres)
        postgres.start()
    valkey = Valkey(folder, durable=False, pid_file=folder / "valkey.pid.json")
    valkey.start()
    return Servers(postgres, valkey, folder)


def environment(servers: Servers) -> dict[str, str]:
    """What all processes of the run share."""
    return {
        "HARBOR_TEST_SUPERUSER_URL": servers.postgres.superuser_url(),
        "HARBOR_TEST_FOLDER": str(servers.folder),
        "HARBOR_TEST_DATABASE_URL": servers.postgres.url(""),
        "HARBOR_TEST_REDIS_URL": servers.valkey.url().rpartition("/")[0],
        "HARBOR_VAR": str(servers.folder / "var"),
        "DEBUG": "false",
        "STATIC_MANIFEST": "false",
        "ALLOWED_HOSTS": "testserver,127.0.0.1,localhost",
        "TRUSTED_PROXIES": "none",
        "DATABASE_POOL": "20",
        **SECRETS,
    }


def worker_environment(number: int) -> dict[str, str]:
    """What is one process's own: `number` is 0 without xdist, then 1 for gw0, 2 for gw1, ..."""
    sandbox, web = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    return {
        # Only here: pytest-django reads the settings at once where it finds their name.
        "DJANGO_SETTINGS_MODULE": "saas.settings",
        "DATABASE_URL": os.environ["HARBOR_TEST_DATABASE_URL"] + f"test_{number}",
        "REDIS_URL": os.environ["HARBOR_TEST_REDIS_URL"] + f"/{number}",
        "HARBOR_TEST_SANDBOX": sandbox,
        "HARBOR_TEST_WEB": web,
        "PUBLIC_URL": web,
        "SMARTLEAD_API_BASE": f"{sandbox}/smartlead/api/v1",
        "STRIPE_API_BASE": f"{sandbox}/stripe",
        "EMAIL_URL": f"smtp://127.0.0.1:{free_port()}",
    }


def clone(name: str) -> str:
    """Make the database `name` from the template and return its URL for the application's role."""
    return create_empty(name, template=DATABASE)


def create_empty(name: str, *, template: str = "template1") -> str:
    """Make the database `name` with our extensions and no tables; return its URL."""
    with psycopg.connect(os.environ["HARBOR_TEST_SUPERUSER_URL"], autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template), sql.Identifier(ROLE)
            )
        )
    return os.environ["HARBOR_TEST_DATABASE_URL"] + name


def drop(name: str) -> None:
    """Drop the database, ending whoever is still connected to it."""
    with psycopg.connect(os.environ["HARBOR_TEST_SUPERUSER_URL"], autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def _places() -> list[Path]:
    """Where a run may live, best first: in memory a database of 2,600 files is cloned in 0.2 s,
    on a disk in seconds."""
    places = [Path(tempfile.gettempdir())]
    with suppress(OSError):
        if shutil.disk_usage(MEMORY).free > ROOM_IN_MEMORY and os.access(MEMORY, os.W_OK):
            places.insert(0, MEMORY)
    return places


def _fingerprint() -> str:
    digest = hashlib.sha256(sys.version.encode())
    for pattern in SHAPED_BY:
        for path in sorted(BASE.glob(pattern)):
            if not {".venv", "var", "node_modules"} & set(path.relative_to(BASE).parts):
                digest.update(str(path.relative_to(BASE)).encode() + path.read_bytes())
    return digest.hexdigest()[:20]


def _migrate(postgres: Postgres) -> None:
    env = {
        **os.environ,
        **SECRETS,
        "DATABASE_URL": postgres.url(),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "TRUSTED_PROXIES": "none",
        "DJANGO_SETTINGS_MODULE": "saas.settings",
    }
    command = commands.manage("migrate", "--no-input", "--skip-checks", "--verbosity", "0")
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        postgres.stop()
        postgres.destroy()
        raise RuntimeError(f"The migrations failed:\n{done.stdout}{done.stderr}")


def _keep(cached: Path, postgres: Postgres) -> None:
    """A convenience: a folder that can't be written costs the next run its migrations."""
    with suppress(OSError, subprocess.CalledProcessError):
        cached.parent.mkdir(parents=True, exist_ok=True)
        for old in sorted(CACHE.iterdir(), key=lambda p: p.stat().st_mtime)[: -KEPT + 1]:
            shutil.rmtree(old, ignore_errors=True)
        making = Path(tempfile.mkdtemp(dir=CACHE))
        _copy(postgres.data, making / "data")
        shutil.copy2(postgres.state / "postgres.json", making)
        making.rename(cached)


def _restore(cached: Path, postgres: Postgres) -> None:
    cached.touch()
    postgres.data.parent.mkdir(parents=True, exist_ok=True)
    if privilege.is_root():
        postgres.data.parent.chmod(0o755)
    _copy(cached / "data", postgres.data)
    shutil.copy2(cached / "postgres.json", postgres.state)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True, capture_output=True)


def _clear_leftovers() -> None:
    """Servers of a run that was killed: its folder names an owner that no longer lives."""
    for folder in (f for place in _places() for f in place.glob(PREFIX + "*")):
        owner = read_identity(folder / "owner.json")
        if owner is None or owner.alive():
            continue
        for pid_file in folder.glob("*.pid.json"):
            identity = read_identity(pid_file)
            if identity:
                with suppress(PermissionError):
                    identity.end(signal.SIGINT, timeout=5)
        shutil.rmtree(folder, ignore_errors=True)
