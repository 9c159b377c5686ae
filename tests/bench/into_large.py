"""How fast an export comes into a brand that holds many leads already, against one that is empty:
the same rows by the engine's own path, taking turns, all search indexes in place.

HARBOR_BENCH_LEADS sets what the large brand holds (1,000,000; docs/performance.md says which).
"""

from __future__ import annotations

import os

import psycopg

from tests.bench import crowd, stock
from tests.bench.crowd import timed
from tests.bench.ingest import SLICE, take
from tests.bench.result import Result

LEADS = int(os.environ.get("HARBOR_BENCH_LEADS", "1000000"))
SLICES = 6  # of each side


def run() -> Result:
    with crowd.database() as superuser:
        with psycopg.connect(superuser, autocommit=True) as admin:
            large = crowd.brand()
            stock.fill(admin, large[0], large[1], LEADS)
            empty = crowd.brand()
            while stock.partition(admin, "leads_lead", empty[0]) == stock.partition(
                admin, "leads_lead", large[0]
            ):
                empty = crowd.brand()
        into_large = into_empty = 0.0
        for number in range(SLICES):
            chunks = list(crowd.export(range(number * SLICE, (number + 1) * SLICE)))
            into_empty += timed(lambda: take(empty, chunks))  # noqa: B023
            into_large += timed(lambda: take(large, chunks))  # noqa: B023
    rows = SLICES * SLICE
    return Result(
        bench="into_large",
        figures={"held": LEADS, "into_large_rows_per_s": rows / into_large},
        limit={"into_empty_rows_per_s": rows / into_empty},
        ratios={"large_to_empty": into_empty / into_large},
        reach={"large_to_empty": 0.6},
    )
