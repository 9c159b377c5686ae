"""How well many brands use what SmartLead allows them, together, on shared workers: message history
of HARBOR_BENCH_BRANDS brands (60) at HARBOR_BENCH_LIMIT calls a minute each (60), eight worker
processes, for HARBOR_BENCH_SECONDS (180) after everybody's first window.

The sandbox enforces each account's limit and counts: `used` is calls that it answered of those
that it would have, `over` calls that came while a window was full, and fairness is Jain's index of
the brands' calls. The issue's load (200 brands at 300) is 1,000 calls a second: more than two
cores can make and answer, so the limit decides here, and not the machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from saas.embedded import commands
from saas.embedded.processes import Child
from tests.bench import crowd
from tests.bench.result import Result
from tests.bench.webhooks import _sandbox, _start, _until

BRANDS = int(os.environ.get("HARBOR_BENCH_BRANDS", "60"))
LIMIT = int(os.environ.get("HARBOR_BENCH_LIMIT", "60"))
SECONDS = int(os.environ.get("HARBOR_BENCH_SECONDS", "180"))
PROCESSES = 8
LEADS = 20 * LIMIT  # more threads than the time allows


def run() -> Result:
    with crowd.database():
        folder = Path(os.environ["HARBOR_TEST_FOLDER"])
        with _running(folder) as sandbox:
            keys = [f"sl_budget{number}_{LEADS}_1_r{LIMIT}" for number in range(BRANDS)]
            for number, key in enumerate(keys):
                _prepare(key, number)
            with _workers(folder):
                time.sleep(70)  # the first window and its burst
                before = _counters(sandbox)
                time.sleep(SECONDS)
                after = _counters(sandbox)
    made = [after[key]["allowed"] - before[key]["allowed"] for key in keys]
    allowed = LIMIT * SECONDS / 60
    over = sum(after[key]["over"] for key in keys)
    used = sum(made) / (allowed * BRANDS)
    jain = sum(made) ** 2 / (len(made) * sum(n * n for n in made) or 1)
    return Result(
        bench="budget",
        figures={"brands": BRANDS, "calls_per_s": sum(made) / SECONDS, "calls_over_a_limit": over},
        limit={"allowed_calls_per_s": BRANDS * LIMIT / 60},
        ratios={"used_of_allowed": used, "jain_fairness": jain, "nothing_over": 1 / (1 + over)},
        reach={"used_of_allowed": 0.98, "jain_fairness": 0.99, "nothing_over": 1.0},
    )


@contextmanager
def _running(folder: Path) -> Iterator[str]:
    url = os.environ["HARBOR_TEST_SANDBOX"]
    child = _start("sandbox", _sandbox(url, folder), folder)
    try:
        _until(child, f"{url}/health")
        yield url
    finally:
        child.stop(timeout=10)


@contextmanager
def _workers(folder: Path) -> Iterator[None]:
    started: list[Child] = []
    try:
        os.environ["DEBUG"] = "true"  # a worker refuses a test key without it
        for name, argv in (
            ("worker", commands.worker(processes=PROCESSES)),
            ("beat", commands.beat(folder / "beat")),
        ):
            started.append(_start(name, argv, folder))
        yield
    finally:
        for child in reversed(started):
            child.stop(timeout=100)


def _prepare(key: str, number: int) -> None:
    """A brand whose leads are here and whose threads are wanted; the limit is still unused."""
    from django.utils import timezone

    from billing.models import BillingAccount
    from leads.ingest import leads
    from leads.models import Backfill, Campaign, Connection
    from leads.smartlead import parse
    from saas.celery import wake
    from saas.tenancy import scope
    from sandbox.smartlead import shapes
    from sandbox.smartlead.account import options_from_key
    from sandbox.smartlead.book import Book, Wanted

    book = Book(options_from_key(key))
    brand_id = crowd.brand()[0]
    with scope(brand_id):
        BillingAccount.objects.update(lead_quota=10_000_000)
        Backfill.objects.all().delete()
        Campaign.objects.all().delete()
        connection = Connection.objects.get()
        connection.api_key, connection.calls_per_minute = key, LIMIT
        connection.state = Connection.State.WORKING
        connection.save()
        for item in book.campaigns():
            campaign = Campaign.objects.create(
                connection=connection, remote_id=item.id, name=item.name
            )
            rows = book.rows(item, Wanted())
            page = [
                shapes.lead_row(book, book.standing(item, position))
                for position in rows.page(0, len(rows))
            ]
            parsed = parse.lead_page({"data": page})
            leads.merge(brand_id=brand_id, campaign_id=campaign.pk, rows=parsed.rows)
        now = timezone.now()
        backfill = Backfill.objects.create(
            connection=connection,
            state=Backfill.State.RUNNING,
            phase=Backfill.Phase.HISTORY,
            has_categories=True,
            history_since=now,
            history_total=LEADS,
            started_at=now,
            due_at=now,
        )
        wake("leads.stride", brand_id, backfill.pk)


def _counters(sandbox: str) -> dict[str, Any]:
    answer = httpx.get(f"{sandbox}/smartlead/_control/counters", timeout=30)
    found: dict[str, Any] = answer.json()["accounts"]
    return found
