"""How fast leads go out: our CSV, made safe for spreadsheets and cut into short transactions,
against one bare COPY of the same columns of the same rows, taking turns in one run.

Memory is the peak of a process of its own that writes the whole export away, for 100,000 and for
HARBOR_BENCH_LEADS rows (1,000,000); each has a brand of its own.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import Any

import psycopg

from tests.bench import crowd, stock
from tests.bench.crowd import timed
from tests.bench.result import Result

ROUNDS = 5
SMALL, LARGE = 100_000, int(os.environ.get("HARBOR_BENCH_LEADS", "1000000"))
FLAT_KIB = 8 * 1024

BARE = """
COPY (SELECT email, first_name, last_name, company, phone, website, location, linkedin,
  company_url, unsubscribed, custom, status, category, replied, joined_at, last_activity_at
  FROM leads_lead WHERE brand_id = {brand}) TO STDOUT"""


def run() -> Result:
    with crowd.database() as superuser:
        small, large = (_fill(superuser, rows) for rows in (SMALL, LARGE))
        peaks = [_peak(brand_id) for brand_id in (small, large)]
        ours, bare = _rates(large)
    return Result(
        bench="export",
        figures={
            "csv_rows_per_s": ours,
            "peak_kib_at_100k_rows": peaks[0],
            f"peak_kib_at_{LARGE // 1000}k_rows": peaks[1],
        },
        limit={"bare_copy_rows_per_s": bare, "peak_may_grow_kib": FLAT_KIB},
        ratios={
            "csv_to_bare_copy": ours / bare,
            "flat_memory": FLAT_KIB / max(peaks[1] - peaks[0], 1),
        },
        reach={"csv_to_bare_copy": 0.5, "flat_memory": 1.0},
    )


def _fill(superuser: str, rows: int) -> int:
    """Make a brand with so many leads; return its id."""
    brand_id, campaign_id, _ = crowd.brand()
    with psycopg.connect(superuser, autocommit=True) as admin:
        stock.fill(admin, brand_id, campaign_id, rows)
    return brand_id


def _rates(brand_id: int) -> tuple[float, float]:
    """Rows a second, ours and the bare COPY's: the best of ROUNDS, the least disturbed."""
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(ROUNDS):
        ours.append(LARGE / timed(lambda: _export(brand_id)))
        bare.append(LARGE / timed(lambda: _copy(brand_id)))
    return max(ours), max(bare)


def _export(brand_id: int) -> None:
    from leads.files import export
    from leads.search import Filters

    _write(export.stream(brand_id, Filters()))


def _copy(brand_id: int) -> None:
    from django.db import connection

    from saas.tenancy import scope

    with (
        scope(brand_id),
        connection.cursor() as cursor,
        cursor.copy(BARE.format(brand=brand_id)) as copy,
    ):
        _write(copy)


def _write(parts: Any) -> None:
    with open(os.devnull, "wb") as away:  # noqa: PTH123
        for part in parts:
            away.write(part)


def _peak(brand_id: int) -> int:
    """The peak memory in KiB of a process that exports the brand."""
    command = [sys.executable, "-m", "tests.bench.export", str(brand_id)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def _child(brand_id: int) -> None:
    import django

    django.setup()
    _export(brand_id)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    _child(int(sys.argv[1]))
