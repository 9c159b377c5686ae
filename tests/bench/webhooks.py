"""How fast Stripe's deliveries are accepted: our view, a bare view that inserts one row, and
dj-stripe's own view, on one server, in one run, taking turns.

Ours verifies the signature, parses the event and keeps it under a unique id; dj-stripe's processes
the event within the request, Stripe calls included (to the sandbox).
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import os
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg

from saas.embedded import commands
from saas.embedded.processes import Child
from tests import servers
from tests.bench import load
from tests.bench.result import Result

ROUNDS, SECONDS, CONNECTIONS = 3, 4.0, 8
API_VERSION = "2026-08-26.dahlia"
PROMISED_P99 = 25.0  # milliseconds
Make = Callable[[], load.Request]


def run() -> Result:
    """Run everything on servers of its own."""
    with _servers() as (web, database):
        customer = _customer()
        endpoint = _prepare(database)
        number = itertools.count(1)
        makes: dict[str, Make] = {
            "ours": lambda: _request("/webhooks/stripe/", customer, next(number)),
            "bare": lambda: _request("/bench/bare/", customer, next(number)),
            "dj-stripe": lambda: _request(f"/stripe/webhook/{endpoint}/", customer, next(number)),
        }
        rates = _rates(web, makes)
        half = load.paced(
            web, makes["ours"], rate=rates["ours"] / 2, seconds=2 * SECONDS, connections=16
        )
    p99 = half.quantile(0.99) * 1000
    return Result(
        bench="webhooks",
        figures={
            "accepted_per_s": rates["ours"],
            "p50_ms_at_half_peak": half.quantile(0.5) * 1000,
            "p99_ms_at_half_peak": p99,
        },
        limit={
            "bare_view_per_s": rates["bare"],
            "djstripe_view_per_s": rates["dj-stripe"],
            "p99_promised_ms": PROMISED_P99,
        },
        ratios={
            "ours_to_bare": rates["ours"] / rates["bare"],
            "ours_to_djstripe": rates["ours"] / rates["dj-stripe"],
            "promised_to_p99": PROMISED_P99 / p99,
        },
        reach={"ours_to_bare": 0.8, "ours_to_djstripe": 5.0, "promised_to_p99": 1.0},
    )


def _rates(web: tuple[str, int], makes: dict[str, Make]) -> dict[str, float]:
    """The median of rounds in turn, so that a busy moment of the machine hits all three."""
    found: dict[str, list[float]] = {name: [] for name in makes}
    for make in makes.values():
        load.closed(web, make, seconds=0.5, connections=2)  # warm
    for _ in range(ROUNDS):
        for name, make in makes.items():
            outcome = load.closed(web, make, seconds=SECONDS, connections=CONNECTIONS)
            if outcome.failed:
                raise RuntimeError(f"{outcome.failed} deliveries to the {name} view failed")
            found[name].append(outcome.rate)
    return {name: statistics.median(rates) for name, rates in found.items()}


def _request(path: str, customer: dict[str, Any], number: int) -> load.Request:
    event = {
        "id": f"evt_bench{number:012d}",
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),
        "data": {"object": customer, "previous_attributes": {"balance": 0}},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "customer.updated",
    }
    body = json.dumps(event, indent=2).encode()
    stamp, secret = int(time.time()), servers.SECRETS["STRIPE_WEBHOOK_SECRET"]
    mac = hmac.new(secret.encode(), b"%d." % stamp + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": f"t={stamp},v1={mac}",
    }
    return path, body, headers


def _customer() -> dict[str, Any]:
    answer = httpx.post(
        f"{os.environ['STRIPE_API_BASE']}/v1/customers",
        data={"email": "bench@example.test", "name": "Bench"},
        headers={
            "Authorization": f"Bearer {servers.SECRETS['STRIPE_SECRET_KEY']}",
            "Stripe-Version": API_VERSION,
        },
    )
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def _prepare(database: str) -> uuid.UUID:
    """The bare view's table, and the endpoint that dj-stripe's view looks up."""
    endpoint = uuid.uuid4()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE bench_bare (id bigserial PRIMARY KEY, body text NOT NULL)")
        connection.execute(
            """INSERT INTO djstripe_webhookendpoint (djstripe_created, djstripe_updated, id,
                 stripe_data, livemode, api_version, enabled_events, secret, status, url,
                 application, djstripe_uuid, djstripe_tolerance, djstripe_validation_method)
               VALUES (now(), now(), 'we_bench', '{}', false, %s, '["*"]', %s, 'enabled',
                 'http://127.0.0.1/', '', %s, 300, 'verify_signature')""",
            [API_VERSION, servers.SECRETS["STRIPE_WEBHOOK_SECRET"], endpoint],
        )
    return endpoint


@contextmanager
def _servers() -> Iterator[tuple[tuple[str, int], str]]:
    """PostgreSQL, Valkey, the sandbox and one web process; yields the web address and the DB."""
    running = servers.start()
    os.environ.update(servers.environment(running))
    os.environ.update(servers.worker_environment(0))
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.bench.server_settings"
    database = servers.clone(os.environ["DATABASE_URL"].rpartition("/")[2])
    children: list[Child] = []
    try:
        sandbox, web = os.environ["HARBOR_TEST_SANDBOX"], os.environ["HARBOR_TEST_WEB"]
        children.append(_start("sandbox", _sandbox(sandbox, running.folder), running.folder))
        _until(children[-1], f"{sandbox}/health")
        port = int(web.rpartition(":")[2])
        server = [*commands.web(port, workers=1)[:-1], "tests.bench.server_wsgi:application"]
        children.append(_start("web", server, running.folder))
        _until(children[-1], f"{web}/health/live")
        yield ("127.0.0.1", int(urlsplit(web).port or 0)), database
    finally:
        for child in reversed(children):
            child.stop(timeout=30)
        running.stop()


def _sandbox(url: str, folder: Path) -> list[str]:
    return commands.module(
        *("sandbox", "--port", url.rpartition(":")[2], "--state", str(folder / "sandbox")),
        *("--smtp-port", os.environ["EMAIL_URL"].rpartition(":")[2]),
        *("--app-url", os.environ["HARBOR_TEST_WEB"]),
    )


def _start(name: str, argv: list[str], folder: Path) -> Child:
    child = Child(name, argv, log=folder / f"{name}.log", env=dict(os.environ))
    child.start()
    return child


def _until(child: Child, url: str) -> None:
    def answers() -> bool:
        try:
            return httpx.get(url, timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    child.wait_ready(answers, timeout=60)
