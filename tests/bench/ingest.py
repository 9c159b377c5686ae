"""How fast leads come in: SmartLead's pages through parsing, admission, merge and cursor, against a
raw COPY of the same rows into the same tables and indexes, taking turns in one run.

The raw COPY is a superuser's, since row-level security refuses COPY to anyone else; it checks
nothing, admits nothing and dedupes nothing. Memory is the peak of a process of its own, for 20,000
and for 200,000 rows.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tests import servers
from tests.bench.result import Result

ROUNDS = 3
ROWS = 20_000  # of a round, into brands of their own
PAGE = 100
AT_ONCE = 5  # pages a transaction, as a stride commits them
SMALL, LARGE = 20_000, 200_000
FLAT_KIB = 8 * 1024
JOINED = datetime(2026, 1, 1, tzinfo=UTC)

COLUMNS = (
    "brand_id", "id", "email", "first_name", "last_name", "company", "phone", "website", "location",
    "linkedin", "company_url", "custom", "unsubscribed", "status", "category", "replied",
    "joined_at", "last_activity_at", "created_at",
)  # fmt: skip
PLACES = (
    "brand_id", "campaign_id", "lead_id", "remote_lead_id", "map_id", "status", "category",
    "replied", "joined_at", "last_activity_at", "history_rank", "history_at",
)  # fmt: skip


def run() -> Result:
    running = servers.start()
    os.environ.update(servers.environment(running))
    os.environ.update(servers.worker_environment(0))
    name = os.environ["DATABASE_URL"].rpartition("/")[2]
    servers.clone(name)
    try:
        small, large = _peak(SMALL), _peak(LARGE)
        ours, raw, again = _rates(running.postgres.superuser_url(name))
    finally:
        running.stop()
    return Result(
        bench="ingest",
        figures={
            "pages_rows_per_s": ours,
            "same_pages_again_rows_per_s": again,
            "peak_kib_at_20k_rows": small,
            "peak_kib_at_200k_rows": large,
        },
        limit={"raw_copy_rows_per_s": raw, "peak_may_grow_kib": FLAT_KIB},
        ratios={
            "pages_to_raw_copy": ours / raw,
            "again_to_fresh": again / ours,
            "flat_memory": FLAT_KIB / max(large - small, 1),
        },
        reach={"pages_to_raw_copy": 0.3, "again_to_fresh": 1.0, "flat_memory": 1.0},
    )


def _rates(superuser: str) -> tuple[float, float, float]:
    """Rows a second: our pages, raw COPY, and our pages a second time. Medians of ROUNDS."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings")
    django.setup()
    ours: list[float] = []
    raw: list[float] = []
    again: list[float] = []
    with psycopg.connect(superuser, autocommit=True) as admin:
        for number in range(ROUNDS):
            pages = list(_pages(ROWS, seed=number))
            place = _brand()
            ours.append(ROWS / _timed(lambda: _ingest(place, pages)))  # noqa: B023
            again.append(ROWS / _timed(lambda: _ingest(place, pages)))  # noqa: B023
            other = _brand()
            rows = [row for page in pages for row in page["data"]]
            raw.append(ROWS / _timed(lambda: _copy(admin, other, rows)))  # noqa: B023
    return statistics.median(ours), statistics.median(raw), statistics.median(again)


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _brand() -> tuple[int, int, int]:
    """A brand with room, a campaign and its cursor; as ids."""
    from billing.models import BillingAccount
    from leads.models import Backfill, Cursor
    from saas.tenancy import scope
    from tests.factories import make_brand, make_user
    from tests.leads.factories import make_campaign

    # Each process counts its people from one; the database is shared.
    brand = make_brand(owner=make_user(email=f"{uuid.uuid4().hex}@example.test"))
    with scope(brand):
        BillingAccount.objects.update(lead_quota=100_000_000)
        campaign = make_campaign()
        backfill = Backfill.objects.create(connection=campaign.connection)
        cursor = Cursor.objects.create(backfill=backfill, campaign=campaign)
    return brand.pk, campaign.pk, cursor.pk


def _ingest(place: tuple[int, int, int], pages: list[dict[str, Any]]) -> None:
    """Parse, admit, merge and move the cursor, AT_ONCE pages a transaction."""
    for start in range(0, len(pages), AT_ONCE):
        _batch(place, pages[start : start + AT_ONCE])


def _batch(place: tuple[int, int, int], pages: list[dict[str, Any]]) -> None:
    from django.db.models import F

    from leads.ingest import leads
    from leads.models import Cursor
    from leads.smartlead import parse
    from saas.tenancy import scope

    brand_id, campaign_id, cursor_id = place
    parsed = [parse.lead_page(page) for page in pages]
    with scope(brand_id):
        merged = leads.merge_all(
            brand_id=brand_id, batches=[(campaign_id, page.rows) for page in parsed]
        )
        if merged.refusal or any(page.bad for page in parsed):
            raise RuntimeError(f"{merged.refusal or 'a bad row'}")
        for _ in parsed:
            Cursor.objects.filter(pk=cursor_id).update(position=F("position") + PAGE)


def _pages(count: int, *, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Pages as SmartLead sends them, one at a time."""
    for start in range(0, count, PAGE):
        data = [_row(seed * 10_000_000 + number) for number in range(start, start + PAGE)]
        yield {"total_leads": str(count), "data": data}


def _row(number: int) -> dict[str, Any]:
    joined = JOINED + timedelta(seconds=number * 7919 % 30_000_000)
    return {
        "campaign_lead_map_id": 9_000_000_000 + number,
        "lead_category_id": number % 9 + 1 if number % 5 == 0 else None,
        "status": ("STARTED", "INPROGRESS", "COMPLETED")[number % 3],
        "created_at": joined.isoformat(),
        "lead": {
            "id": 5_000_000_000 + number,
            "email": f"person.{number * 7919 % 99_999_989}.{number}@company{number % 997}.example",
            "first_name": f"First{number % 1009}",
            "last_name": f"Last{number % 5003}",
            "company_name": f"Company {number % 997} Ltd",
            "phone_number": f"+49 30 {number % 10**7:07d}",
            "website": f"https://www.company{number % 997}.example",
            "location": "Berlin, Germany",
            "custom_fields": {"job_title": "Head of Sales", "industry": "Logistics"},
            "linkedin_profile": f"https://www.linkedin.com/in/p{number}",
            "company_url": f"company{number % 997}.example",
            "is_unsubscribed": False,
        },
    }


def _copy(
    admin: psycopg.Connection[Any], place: tuple[int, int, int], rows: list[dict[str, Any]]
) -> None:
    """COPY the rows as they will stand, straight into both tables, in one transaction."""
    brand_id, campaign_id, _ = place
    now = datetime.now(UTC)
    with admin.transaction(), admin.cursor() as cursor:
        cursor.execute(
            "SELECT nextval('leads_lead_id_seq') FROM generate_series(1, %s)", [len(rows)]
        )
        ids = [int(number) for (number,) in cursor.fetchall()]
        with cursor.copy(f"COPY leads_lead ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for number, row in zip(ids, rows, strict=True):
                copy.write_row(_lead(brand_id, number, row, now))
        with cursor.copy(f"COPY leads_campaignlead ({', '.join(PLACES)}) FROM STDIN") as copy:
            for number, row in zip(ids, rows, strict=True):
                copy.write_row(_place(brand_id, campaign_id, number, row))


def _lead(brand_id: int, number: int, row: dict[str, Any], now: datetime) -> tuple[Any, ...]:
    lead, joined = row["lead"], datetime.fromisoformat(row["created_at"])
    return (
        brand_id, number, lead["email"], lead["first_name"], lead["last_name"],
        lead["company_name"], lead["phone_number"], lead["website"], lead["location"],
        lead["linkedin_profile"], lead["company_url"], json.dumps(lead["custom_fields"]), False,
        row["status"], row["lead_category_id"], False, joined, joined, now,
    )  # fmt: skip


def _place(brand_id: int, campaign_id: int, number: int, row: dict[str, Any]) -> tuple[Any, ...]:
    joined = datetime.fromisoformat(row["created_at"])
    return (
        brand_id, campaign_id, number, row["lead"]["id"], row["campaign_lead_map_id"],
        row["status"], row["lead_category_id"], False, joined, joined, 2,
        datetime.fromtimestamp(0, UTC),
    )  # fmt: skip


def _peak(count: int) -> int:
    """The peak memory in KiB of a process that takes `count` rows in, page by page."""
    command = [sys.executable, "-m", "tests.bench.ingest", str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def _child(count: int) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings")
    django.setup()
    place = _brand()
    batch: list[dict[str, Any]] = []
    for page in _pages(count, seed=count % 97):
        batch.append(page)
        if len(batch) == AT_ONCE:
            _batch(place, batch)
            batch = []
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    _child(int(sys.argv[1]))
