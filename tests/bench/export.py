"""How fast leads go out: our CSV, made safe for spreadsheets and cut into short transactions,
against one bare COPY of the same columns of the same rows, taking turns in one run.

Memory is the peak of a process of its own that writes the whole export away, for 100,000 and for
1,000,000 rows; each has a brand of its own.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from typing import Any

from tests.bench import crowd
from tests.bench.result import Result

ROUNDS = 5
SMALL, LARGE = 100_000, 1_000_000
FLAT_KIB = 8 * 1024

# In one statement: how they came in is not what is measured.
FILL = """
INSERT INTO leads_lead (brand_id, email, first_name, last_name, company, phone, website, location,
  linkedin, company_url, custom, unsubscribed, status, category, replied, joined_at,
  last_activity_at)
SELECT %(brand)s, 'person.' || n || '@company' || n %% 997 || '.example', 'First' || n %% 1009,
  'Last' || n %% 5003, 'Company ' || n %% 997 || ' Ltd', '+49 30 ' || n,
  'https://www.company' || n %% 997 || '.example', 'Berlin, Germany',
  'https://www.linkedin.com/in/p' || n, 'company' || n %% 997 || '.example',
  '{"job_title": "Head of Sales", "industry": "Logistics"}', false,
  (ARRAY['STARTED', 'INPROGRESS', 'COMPLETED'])[1 + n %% 3],
  CASE WHEN n %% 5 = 0 THEN 1 + n %% 9 END, n %% 20 = 0, at, at
FROM generate_series(1::bigint, %(rows)s) AS n,
  LATERAL (SELECT timestamptz '2026-01-01' + n * 7919 %% 30000000 * interval '1 second') AS t(at)
"""
BARE = """
COPY (SELECT email, first_name, last_name, company, phone, website, location, linkedin,
  company_url, unsubscribed, custom, status, category, replied, joined_at, last_activity_at
  FROM leads_lead WHERE brand_id = {brand}) TO STDOUT"""


def run() -> Result:
    with crowd.database():
        small, large = _fill(SMALL), _fill(LARGE)
        peaks = [_peak(brand_id) for brand_id in (small, large)]
        ours, bare = _rates(large)
    return Result(
        bench="export",
        figures={
            "csv_rows_per_s": ours,
            "peak_kib_at_100k_rows": peaks[0],
            "peak_kib_at_1m_rows": peaks[1],
        },
        limit={"bare_copy_rows_per_s": bare, "peak_may_grow_kib": FLAT_KIB},
        ratios={
            "csv_to_bare_copy": ours / bare,
            "flat_memory": FLAT_KIB / max(peaks[1] - peaks[0], 1),
        },
        reach={"csv_to_bare_copy": 0.5, "flat_memory": 1.0},
    )


def _fill(rows: int) -> int:
    """Make a brand with so many leads, vacuumed as autovacuum would have; return its id."""
    from django.db import connection

    from saas.tenancy import scope

    brand_id, _, _ = crowd.brand()
    with scope(brand_id), connection.cursor() as cursor:
        cursor.execute(FILL, {"brand": brand_id, "rows": rows})
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE leads_lead")
    return brand_id


def _rates(brand_id: int) -> tuple[float, float]:
    """Rows a second, ours and the bare COPY's: the best of ROUNDS, the least disturbed."""
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(ROUNDS):
        ours.append(LARGE / _timed(lambda: _export(brand_id)))
        bare.append(LARGE / _timed(lambda: _copy(brand_id)))
    return max(ours), max(bare)


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


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
