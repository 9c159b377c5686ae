"""What a chaos run stands on: servers of its own, the processes of the system, accounts to read.

Accounts come in five kinds, over and over: exports of a few campaigns with rows that stand twice,
stand in two campaigns or are malformed; exports of one campaign; exports of more campaigns than a
plan counts, which go to the queue for large ones; an account without exports, so that its whole
list is read; and one without either, so that its campaigns are read page by page.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from django.test import Client

from saas.embedded import commands
from saas.embedded.machine import free_port
from saas.embedded.processes import wait_until
from tests import servers
from tests.factories import make_brand, make_user
from tests.fixtures.database import close_connections
from tests.fixtures.processes import Launcher, Process, Sandbox, run_sandbox
from tests.leads.conftest import Account

CALLS_A_MINUTE = 1_200  # of an account; SmartLead's stand-in counts each call above it
KINDS = ("3_{r}_dup_overlap_bad", "1_{r}_bad", "12_{r}", "4_{r}_overlap", "3_{r}_dup_overlap")
WITHOUT_EXPORTS = (3, 4)
WITHOUT_LIST = (0, 1, 4)  # whose rows are never malformed
LEADS_EACH = 10_000
# Of a hundred faults. A 429 makes an account wait for ten seconds, so there are few.
FAULTS = {"500": 30, "html": 20, "524": 15, "reset": 10, "truncated": 12, "empty": 4, "braces": 4,
          "not_found": 3, "429": 2}  # fmt: skip
TIMEOUT = 21.0  # seconds, longer than our client waits


@dataclass
class World:
    """The servers, the processes and the accounts of one run."""

    running: servers.Servers
    sandbox: Sandbox
    launch: Launcher
    workers: list[Process] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)

    def start_servers(self) -> str:
        """Start the web server and beat; return the web server's address."""
        self.launch("beat", commands.beat(self.launch.folder / "schedule"))
        return self.launch.web()

    def start_workers(self) -> None:
        for _ in range(2):
            self.worker()
        if not wait_until(lambda: all(one.ready() for one in self.workers), 90):
            raise RuntimeError("the workers did not start")

    def worker(self) -> Process:
        """Start a worker, without waiting for it: as a supervisor would."""
        argv = commands.worker(name=f"chaos{free_port()}", application="tests.chaos.app")
        process = self.launch("worker", argv, wait=False)
        self.workers.append(process)
        return process

    def restart_postgres(self, dice: random.Random, *, crash: bool) -> None:
        """Stop PostgreSQL (`crash`: kill it), let some seconds pass, and start it again."""
        postgres = self.running.postgres
        if crash and postgres.pid:
            os.kill(postgres.pid, signal.SIGKILL)
        else:
            postgres.stop()
        time.sleep(dice.uniform(0.5, 3))
        postgres.start()
        close_connections()

    def flush_valkey(self) -> None:
        """Lose everything in Valkey: queued tasks, limits, breakers, cached sessions."""
        valkey().flushall()

    def read(self, leads: int, accounts: int) -> None:
        """Make the accounts, `leads` in all, and start their backfills."""
        from billing.models import BillingAccount
        from saas.tenancy import scope

        each = leads // accounts
        for number in range(accounts):
            kind = KINDS[number % len(KINDS)].format(r=f"r{CALLS_A_MINUTE}")
            owner = make_user()
            brand = make_brand(owner=owner)
            with scope(brand):
                BillingAccount.objects.update(lead_quota=10 * each)
            account = Account(brand, owner, self.sandbox, f"sl_chaos{number}_{each}_{kind}")
            account.limits(CALLS_A_MINUTE, 5)
            if number % len(KINDS) in WITHOUT_EXPORTS:
                account.fault("not_found", path="leads-export", key=account.key)
            if number % len(KINDS) in WITHOUT_LIST:
                account.fault("not_found", path="leads/all", key=account.key)
            account.start()
            self.accounts.append(account)

    def spoil(self, rate: float, seed: int, timeouts: int) -> None:
        """From now on, one call in 1/`rate` gets a fault instead, and `timeouts` get no answer."""
        for number in range(timeouts):
            self.accounts[0].fault(
                "slow", path="message-history", skip=300 * number, count=1, delay=TIMEOUT
            )
        left = 1.0
        for kind, share in FAULTS.items():
            # The rules throw their dice in turn: a later one only where no earlier one struck.
            chance = rate * share / 100
            self.accounts[0].fault(
                kind, probability=chance / left, seed=seed, delay=0, retry_after=1
            )
            left -= chance


class Visitor(threading.Thread):
    """Somebody who looks at a page twice a second, whatever happens to the servers."""

    def __init__(self, web: str, account: Account) -> None:
        super().__init__(daemon=True)
        client = Client()
        client.force_login(account.owner, backend="django.contrib.auth.backends.ModelBackend")
        cookies = {name: cookie.value for name, cookie in client.cookies.items()}
        self.http = httpx.Client(base_url=web, cookies=cookies, timeout=20)
        self.path = f"/b/{account.brand.slug}/backfills/"
        self.seen: list[tuple[float, int]] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            try:
                status = self.http.get(self.path).status_code
            except httpx.TransportError:
                status = 0
            self.seen.append((time.monotonic(), status))

    def saw_page_after(self, moment: float) -> bool:
        return any(at > moment and status == 200 for at, status in self.seen)

    def strange(self) -> list[int]:
        """Answers that are neither the page nor "not now": a lost login, a foreign 404."""
        return sorted({status for _, status in self.seen} - {0, 200, 500, 502, 503})


def valkey() -> Any:
    import redis

    return redis.Redis.from_url(os.environ["REDIS_URL"])


def children(process: Process) -> list[int]:
    """The processes of a worker's pool."""
    found = Path(f"/proc/{process.child.pid}/task/{process.child.pid}/children")
    try:
        return [int(pid) for pid in found.read_text().split()]
    except FileNotFoundError:  # it is gone
        return []


@contextmanager
def world() -> Iterator[World]:
    """Servers, database, sandbox, web server, beat and two workers, all ended afterwards."""
    from tests.bench import crowd

    with tempfile.TemporaryDirectory(prefix="harbor-chaos-") as folder:
        running = servers.start(durable=True)
        try:
            os.environ.update(servers.environment(running))
            os.environ.update(servers.worker_environment(0))
            os.environ["LOG_LEVEL"] = "WARNING"
            url = servers.clone(os.environ["DATABASE_URL"].rpartition("/")[2])
            crowd.set_up()
            with run_sandbox(Path(folder)) as sandbox:
                made = World(running, sandbox, Launcher(url, Path(folder)))
                try:
                    yield made
                finally:
                    made.launch.stop()
                    close_connections()
        finally:
            running.stop()
