"""How fast a campaign's export comes in: the engine's own path (CSV, parsing, lease, admission
under its lock, merge, cursor, a transaction a batch, row-level security on) against a raw COPY of
the same rows, parsed already, into the same tables and indexes; fresh, and again with one row in a
hundred changed. Memory is the peak of a process of its own, for few and for many rows.

HARBOR_BENCH_ROWS sets the rows (200,000; the figures of docs/performance.md are of 1,000,000), and
HARBOR_BENCH_PEAK those that memory is measured for.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable

import psycopg

from tests.bench import crowd
from tests.bench.crowd import timed
from tests.bench.result import Result

ROWS = int(os.environ.get("HARBOR_BENCH_ROWS", "200000"))
PEAK = int(os.environ.get("HARBOR_BENCH_PEAK", str(ROWS)))
SMALL = 100_000
FLAT_KIB = 8 * 1024
SLICE = 50_000  # rows that one turn of either side takes


def run() -> Result:
    with crowd.database() as superuser:
        small, large = crowd.peak("tests.bench.ingest", SMALL), crowd.peak(__name__, PEAK)
        ours, raw, again = _rates(superuser)
    return Result(
        bench="ingest",
        figures={
            "export_rows_per_s": ours,
            "again_with_1_percent_changed_rows_per_s": again,
            "peak_kib_at_100k_rows": small,
            f"peak_kib_at_{PEAK // 1000}k_rows": large,
        },
        limit={"raw_copy_rows_per_s": raw, "peak_may_grow_kib": FLAT_KIB},
        ratios={
            "export_to_raw_copy": ours / raw,
            "again_to_fresh": again / ours,
            "flat_memory": FLAT_KIB / max(large - small, 1),
        },
        reach={"export_to_raw_copy": 0.7, "again_to_fresh": 1.5, "flat_memory": 1.0},
    )


def _rates(superuser: str) -> tuple[float, float, float]:
    """Rows a second of the whole: our export, the raw COPY, our export again. Slices take turns,
    so that a busy moment of the machine hits both."""
    place, other = crowd.brand(), crowd.brand()
    ours = raw = again = 0.0
    slices = [range(start, min(start + SLICE, ROWS)) for start in range(0, ROWS, SLICE)]
    with psycopg.connect(superuser, autocommit=True) as admin:
        for numbers in slices:
            rows = [crowd.row(number) for number in numbers]
            chunks = list(crowd.export(numbers))
            ours += timed(lambda: take(place, chunks))  # noqa: B023
            raw += timed(lambda: crowd.raw_copy(admin, other, rows))  # noqa: B023
    for numbers in slices:
        chunks = list(crowd.export(numbers, changed=100))
        again += timed(lambda: take(place, chunks))  # noqa: B023
    return ROWS / ours, ROWS / raw, ROWS / again


def take(place: tuple[int, int, int], chunks: Iterable[bytes]) -> None:
    """Take an export in from its start, as the engine does."""
    from django.utils import timezone

    from leads.backfill import export
    from leads.backfill.engine import LEASE
    from leads.backfill.jobs import ExportJob
    from leads.models import Backfill, Cursor
    from saas.leases import claim, release
    from saas.tenancy import scope

    brand_id, campaign_id, cursor_id = place
    with scope(brand_id):
        Cursor.objects.filter(pk=cursor_id).update(position=0, digest="", state="open")
        rows = Backfill.objects.select_related("connection")
        rows.update(state=Backfill.State.RUNNING)
        [backfill] = claim(rows, seconds=LEASE)
    job = ExportJob(cursor_id, campaign_id, 1, None)
    delta = export._take(
        backfill, job, iter(chunks), as_of=timezone.now(), lease=LEASE, over=lambda: False
    )
    if delta.refusal or delta.rejected:
        raise RuntimeError(f"{delta.refusal}, {delta.rejected} rejected")
    with scope(brand_id):
        release(backfill)


def _child(count: int) -> None:
    crowd.set_up()
    take(crowd.brand(), crowd.export(range(count)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    _child(int(sys.argv[1]))
