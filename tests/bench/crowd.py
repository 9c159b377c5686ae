"""The leads of the ingest benches, as SmartLead sends them, and a raw COPY of them to compare with.

The raw COPY is a superuser's, since row-level security refuses COPY to anyone else; it checks
nothing, admits nothing and dedupes nothing.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from sandbox.smartlead.shapes import EXPORT_COLUMNS
from tests import servers

PAGE = 100
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


@contextmanager
def database() -> Iterator[str]:
    """Servers of the bench's own, Django set up on them; yields a superuser's address."""
    running = servers.start()
    os.environ.update(servers.environment(running))
    os.environ.update(servers.worker_environment(0))
    os.environ["LOG_LEVEL"] = "ERROR"
    name = os.environ["DATABASE_URL"].rpartition("/")[2]
    servers.clone(name)
    try:
        set_up()
        yield running.postgres.superuser_url(name)
    finally:
        running.stop()


def set_up() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings")
    django.setup()


def timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def brand() -> tuple[int, int, int]:
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


def pages(count: int, *, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Pages as SmartLead sends them, one at a time."""
    for start in range(0, count, PAGE):
        data = [row(seed * 10_000_000 + number) for number in range(start, start + PAGE)]
        yield {"total_leads": str(count), "data": data}


def row(number: int) -> dict[str, Any]:
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


def export(numbers: Iterable[int], *, changed: int = 0) -> Iterator[bytes]:
    """These leads as the chunks of an export; every `changed`th has another company now."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(EXPORT_COLUMNS)
    for number in numbers:
        writer.writerow(_exported(number, changed))
        if buffer.tell() > 64 * 1024:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _exported(number: int, changed: int) -> tuple[Any, ...]:
    raw = row(number)
    lead = raw["lead"]
    company = "Changed Ltd" if changed and number % changed == 0 else lead["company_name"]
    return (
        lead["id"], raw["campaign_lead_map_id"], raw["status"], "", "false", raw["created_at"],
        lead["first_name"], lead["last_name"], lead["email"], lead["phone_number"], company,
        lead["website"], lead["location"], json.dumps(lead["custom_fields"]),
        lead["linkedin_profile"], lead["company_url"], "false", 2, number % 4, 0,
        int(number % 50 == 0),
    )  # fmt: skip


def raw_copy(
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


def peak(module: str, count: int) -> int:
    """The peak memory in KiB of a process of `module` that takes `count` rows in."""
    command = [sys.executable, "-m", module, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])
