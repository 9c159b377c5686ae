"""How fast two workers work Stripe's events off the inbox: projection and mirror, with all that
they fetch, from the sandbox on the same cores. The events are of HARBOR_BENCH_CUSTOMERS (30) who
subscribe and live three months, in the order in which Stripe makes them.

Held against a bare fetch of each event's object, which is the least that working it takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench import crowd
from tests.bench.result import Result
from tests.bench.webhooks import _sandbox, _start, _until

CUSTOMERS = int(os.environ.get("HARBOR_BENCH_CUSTOMERS", "30"))
MONTHS, WORKERS = 3, 2
PROMISED = 100.0  # events a second, on two cores


def run() -> Result:
    with crowd.database(), _stripe() as stripe:
        events = _live(stripe)
        bare = _bare(events)
        ours = _drained(len(events))
    return Result(
        bench="events",
        figures={"events": len(events), "worked_per_s": ours},
        limit={"bare_fetches_per_s": bare, "promised_per_s": PROMISED},
        ratios={"worked_to_promised": ours / PROMISED, "worked_to_bare_fetch": ours / bare},
        reach={"worked_to_promised": 1.0},
    )


@contextmanager
def _stripe() -> Iterator[Any]:
    """The sandbox in a process of its own, its deliveries held back."""
    from tests.billing.conftest import Stripe
    from tests.fixtures.processes import Sandbox

    url, folder = os.environ["HARBOR_TEST_SANDBOX"], Path(os.environ["HARBOR_TEST_FOLDER"])
    child = _start("sandbox", _sandbox(url, folder), folder)
    try:
        _until(child, f"{url}/health")
        stripe = Stripe(Sandbox(url))
        stripe.control("deliveries/pause", {"paused": True})
        yield stripe
    finally:
        child.stop(timeout=10)


def _live(stripe: Any) -> list[dict[str, Any]]:
    """Let the customers subscribe and live; return the events, which wait in the inbox."""
    from django.core.management import call_command

    from billing import checkout, inbox
    from billing.models import StripeInbox
    from tests.billing.conftest import open_null
    from tests.factories import make_brand, make_user

    call_command("sync_catalog", verbosity=0, stdout=open_null())
    for number in range(CUSTOMERS):
        owner = make_user(email=f"payer{number}@example.test")
        brand = make_brand(owner=owner)
        url = checkout.start(brand=brand, plan="leads_growth", currency="usd", actor=owner)
        stripe.pay(url)
    for _ in range(MONTHS):
        stripe.advance(31)
    StripeInbox.objects.all().delete()
    inbox.catch_up()
    rows = StripeInbox.objects.order_by("created", "pk")
    return [{"type": row.type, "body": row.body} for row in rows]


def _bare(events: list[dict[str, Any]]) -> float:
    import json

    from billing import gateway

    paths = [path for event in events if (path := _path(json.loads(event["body"])))]

    def fetch(path: str) -> None:
        gateway.find(path)

    with ThreadPoolExecutor(WORKERS) as pool:
        taken = crowd.timed(lambda: list(pool.map(fetch, paths)))
    return len(paths) / taken


def _path(event: dict[str, Any]) -> str:
    """Where an event's object is, if it can be fetched by its id alone."""
    found = event["data"]["object"]
    places = {
        "customer": "customers",
        "subscription": "subscriptions",
        "invoice": "invoices",
        "charge": "charges",
        "payment_intent": "payment_intents",
        "payment_method": "payment_methods",
        "checkout.session": "checkout/sessions",
    }
    place = places.get(found["object"])
    return f"/v1/{place}/{found['id']}" if place and "id" in found else ""


def _drained(count: int) -> float:
    """Events a second of WORKERS processes, from the first claim to the last end."""
    from billing.models import StripeInbox

    name = os.environ["DATABASE_URL"].rpartition("/")[2]
    StripeInbox.objects.update(next_attempt_at="2200-01-01T00:00:00Z")
    command = [sys.executable, "-m", "tests.billing.drainer", name]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)]
    try:
        for one in workers:
            assert one.stdout is not None
            one.stdout.readline()
        began = time.perf_counter()
        StripeInbox.objects.update(next_attempt_at="2020-01-01T00:00:00Z")
        while StripeInbox.objects.filter(state="pending").exists():
            time.sleep(0.1)
        taken = time.perf_counter() - began
    finally:
        for one in workers:
            one.kill()
            one.wait()
    unworked = StripeInbox.objects.exclude(state__in=("done", "ignored")).count()
    if unworked:
        raise RuntimeError(f"{unworked} of {count} events were not worked")
    return count / taken
