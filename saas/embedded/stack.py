"""The whole of Harbor on one machine, for `manage.py up`: which services, in which order, where.

DATABASE_URL and REDIS_URL, when set, are used as they are; otherwise our own servers are started.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from saas.embedded import commands, machine, state
from saas.embedded.postgres import Postgres
from saas.embedded.supervisor import Program, Say, Supervisor, end_orphans
from saas.embedded.valkey import Valkey
from saas.errors import Misconfigured

PREPARED_BY = ("saas", "accounts", "billing", "leads", "vpn", "vendor_migrations")
WORKER_STOPS_WITHIN = 100  # seconds: a task may take 90 (settings.CELERY_TASK_TIME_LIMIT)
WEB_STOPS_WITHIN = 35


@dataclass(frozen=True)
class Wishes:
    """What the person asked of this start."""

    port: int = 8000
    fresh: bool = False
    brands: int = 3
    leads: int = 20_000


def up(wishes: Wishes, say: Say) -> None:
    """Run Harbor until it is told to stop (SIGINT, SIGTERM). Raises Misconfigured."""
    folder = state.var()
    machine.require_time_zones()
    machine.require_room(folder)
    with state.only_one(folder):
        end_orphans(folder / "run", say)
        machine.require_port(wishes.port)
        began = time.monotonic()
        with Supervisor(say) as supervisor:
            Stack(folder, wishes, supervisor).start()
            if not supervisor.stopping.is_set():
                say(welcome(folder, time.monotonic() - began))
            supervisor.watch()
            say("Stopping. Tasks in flight are finished first; press Ctrl-C again not to wait.")
    say("Stopped.")


class Stack:
    """One start: the environment is built up while the servers that it names come up."""

    def __init__(self, folder: Path, wishes: Wishes, supervisor: Supervisor) -> None:
        self.folder = folder
        self.wishes = wishes
        self.supervisor = supervisor
        self._postgres = Postgres(folder, log=self._log("postgres"), pid_file=self._pid("postgres"))
        self._embedded = True
        self._valkey = Valkey(folder, log=self._log("valkey"), pid_file=self._pid("valkey"))

    def start(self) -> None:
        if self.wishes.fresh or self._was_interrupted():
            self._postgres.destroy()
            state.forget(self.folder)
        shutil.rmtree(self.folder / "metrics", ignore_errors=True)  # of processes that are gone
        env = self._environment()
        sandbox = self._program("sandbox", self._sandbox_command(env), env, ready=self._mail_page)
        self.supervisor.launch(sandbox)
        self._start_servers(env)
        state.write_env(self.folder / "env", {k: v for k, v in env.items() if k in self._ours})
        self.supervisor.wait(sandbox)
        self._prepare(env)
        url = f"http://{machine.LOOPBACK}:{self.wishes.port}/health/live"
        programs = [
            self._program("worker", commands.worker(), env, stop_timeout=WORKER_STOPS_WITHIN),
            self._program(
                "web",
                commands.web(self.wishes.port),
                env,
                ready=lambda: answers(url),
                stop_timeout=WEB_STOPS_WITHIN,
            ),
        ]
        self.supervisor.launch(*programs)
        self.supervisor.wait(*programs)
        # Nobody waits for these two, so they don't slow down those that somebody waits for.
        beat = commands.beat(self.folder / "celerybeat-schedule")
        self.supervisor.launch(self._program("beat", beat, env), *self._node(env))

    def _node(self, env: dict[str, str]) -> list[Program]:
        """The simulated VPN node, once the demo data has given it a place and a token."""
        token = self.folder / "node" / "token"
        if not token.exists():
            return []
        argv = [
            *commands.module("sandbox.node", "--api", env["PUBLIC_URL"]),
            *("--token-file", str(token), "--state", str(token.parent)),
        ]
        return [self._program("node", argv, env, ready=lambda: True)]

    def _environment(self) -> dict[str, str]:
        """What is set outside wins; bytecode is always kept, or each start would compile anew."""
        port = self.wishes.port + 100
        if not machine.port_is_free(port):
            port = machine.free_port()
        self._sandbox = f"http://{machine.LOOPBACK}:{port}"
        ours = {
            **state.load_secrets(self.folder),
            "HARBOR_VAR": str(self.folder),
            "DEBUG": "true",
            "PUBLIC_URL": f"http://{machine.LOOPBACK}:{self.wishes.port}",
            "ALLOWED_HOSTS": f"{machine.LOOPBACK},localhost",
            "TRUSTED_PROXIES": "none",
            "SANDBOX_URL": self._sandbox,
            "STRIPE_API_BASE": f"{self._sandbox}/stripe",
            "SMARTLEAD_API_BASE": f"{self._sandbox}/smartlead/api/v1",
            "EMAIL_URL": f"smtp://{machine.LOOPBACK}:{machine.free_port()}",
        }
        self._ours = {*ours, "DATABASE_URL", "REDIS_URL"}
        env = {**ours, **os.environ}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        return env

    def _start_servers(self, env: dict[str, str]) -> None:
        self._embedded = "DATABASE_URL" not in env
        if self._embedded:
            self.supervisor.start(self._postgres)
            env["DATABASE_URL"] = self._postgres.url()
        else:
            require_database(env["DATABASE_URL"])
        if "REDIS_URL" in env:
            require_cache(env["REDIS_URL"])
        else:
            self.supervisor.start(self._valkey)
            env["REDIS_URL"] = self._valkey.url()

    def _sandbox_command(self, env: dict[str, str]) -> list[str]:
        port, smtp = (env[k].rpartition(":")[2] for k in ("SANDBOX_URL", "EMAIL_URL"))
        return [
            *(sys.executable, "-m", "sandbox", "--port", port, "--smtp-port", smtp),
            *("--state", str(self.folder / "sandbox"), "--app-url", env["PUBLIC_URL"]),
        ]

    def _mail_page(self) -> bool:
        return answers(f"{self._sandbox}/mail/")

    def _prepare(self, env: dict[str, str]) -> None:
        """Migrations, catalogue, demo data; skipped when neither code nor database is new."""
        stamp, wanted = self.folder / "prepared", self._fingerprint(env)
        if self.supervisor.stopping.is_set() or (stamp.exists() and stamp.read_text() == wanted):
            return
        wishes = ["--brands", str(self.wishes.brands), "--leads", str(self.wishes.leads)]
        began = time.monotonic()
        self.supervisor.run(
            commands.manage("prepare"),
            name="prepare",
            log=self._log("prepare"),
            env=env,
        )
        logins = self.folder / "logins.txt"
        if not logins.exists():
            (self.folder / "demo-begun").touch()
            self.supervisor.run(
                commands.module("sandbox.demo", *wishes, "--logins", str(logins)),
                name="demo",
                log=self._log("demo"),
                env=env,
            )
        if not self.supervisor.stopping.is_set():
            stamp.write_text(wanted)
            self.supervisor.say(f"  {'prepare':<10} done    {time.monotonic() - began:5.1f} s")

    def _was_interrupted(self) -> bool:
        """A first start that ended within the demo left half of it, and nothing of anybody's."""
        begun = (self.folder / "demo-begun").exists()
        half = begun and not (self.folder / "logins.txt").exists()
        if half:
            self.supervisor.say("  The first start was interrupted; making the demo data anew")
        return half and "DATABASE_URL" not in os.environ

    def _fingerprint(self, env: dict[str, str]) -> str:
        """Changes with our code, the packages, and the databases of ours and of the sandbox."""
        digest = hashlib.sha256((commands.BASE / "requirements.txt").read_bytes())
        for part in PREPARED_BY:
            for path in sorted((commands.BASE / part).rglob("*.py")):
                digest.update(path.read_bytes())
        born = [self._postgres.data / "PG_VERSION", self.folder / "sandbox" / "stripe"]
        marks = [str(path.stat().st_ino) if path.exists() else "" for path in born]
        return " ".join([digest.hexdigest(), *marks, "" if self._embedded else env["DATABASE_URL"]])

    def _program(
        self,
        name: str,
        argv: list[str],
        env: dict[str, str],
        *,
        ready: Callable[[], bool] | None = None,
        stop_timeout: float = 15,
    ) -> Program:
        return Program(
            name, argv, folder=self.folder, env=env, ready=ready, stop_timeout=stop_timeout
        )

    def _log(self, name: str) -> Path:
        return self.folder / "log" / f"{name}.log"

    def _pid(self, name: str) -> Path:
        return self.folder / "run" / f"{name}.json"


def require_database(url: str) -> None:
    """A spelling and options that only the settings know are left to them: libpq would print what
    it can't read, password and all."""
    if not url.startswith(("postgres://", "postgresql://")):
        return
    try:
        psycopg.connect(url.partition("?")[0], connect_timeout=5).close()
    except psycopg.Error as error:
        raise Misconfigured(_elsewhere("DATABASE_URL", error)) from error


def require_cache(url: str) -> None:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        raise Misconfigured(_elsewhere("REDIS_URL", error)) from error


def _elsewhere(name: str, error: Exception) -> str:
    return (
        f"{name} names a server that can't be used: {str(error).strip()}"
        f"\nStart that server, set {name} right, or unset it: then Harbor starts its own."
    )


def answers(url: str) -> bool:
    """Whether the page is there (status 200)."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own loopback
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def welcome(folder: Path, took: float) -> str:
    logins = folder / "logins.txt"
    env = state.read_env(folder / "env")
    port = env["PUBLIC_URL"].rpartition(":")[2]
    return "\n".join(
        [
            "",
            f"Harbor runs at {env['PUBLIC_URL']} (started in {took:.1f} s)",
            f"For passkeys:  http://localhost:{port} (browsers refuse them on a bare address)",
            f"Its mails:     {env['SANDBOX_URL']}/mail/",
            f"Its logs:      {folder / 'log'}",
            "",
            logins.read_text().rstrip() if logins.exists() else "",
            "",
            "Press Ctrl-C to stop it.",
        ]
    )
