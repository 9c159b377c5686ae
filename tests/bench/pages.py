"""How fast pages of leads come in: parsing, admission, merge and cursor, five pages a transaction
as a stride commits them, against a raw COPY of the same rows into the same tables and indexes,
taking turns in one run.
"""

from __future__ import annotations

import statistics
from typing import Any

import psycopg

from tests.bench import crowd
from tests.bench.crowd import PAGE, timed
from tests.bench.result import Result

ROUNDS = 3
ROWS = 20_000  # of a round, into brands of their own
AT_ONCE = 5


def run() -> Result:
    with crowd.database() as superuser:
        ours, raw, again = _rates(superuser)
    return Result(
        bench="pages",
        figures={"pages_rows_per_s": ours, "same_pages_again_rows_per_s": again},
        limit={"raw_copy_rows_per_s": raw},
        ratios={"pages_to_raw_copy": ours / raw, "again_to_fresh": again / ours},
        reach={"pages_to_raw_copy": 0.45, "again_to_fresh": 1.0},
    )


def _rates(superuser: str) -> tuple[float, float, float]:
    """Rows a second: our pages, raw COPY, and our pages a second time. Medians of ROUNDS."""
    ours: list[float] = []
    raw: list[float] = []
    again: list[float] = []
    with psycopg.connect(superuser, autocommit=True) as admin:
        for number in range(ROUNDS):
            pages = list(crowd.pages(ROWS, seed=number))
            rows = [row for page in pages for row in page["data"]]
            place, other = crowd.brand(), crowd.brand()
            ours.append(ROWS / timed(lambda: _ingest(place, pages)))  # noqa: B023
            raw.append(ROWS / timed(lambda: crowd.raw_copy(admin, other, rows)))  # noqa: B023
            again.append(ROWS / timed(lambda: _ingest(place, pages)))  # noqa: B023
    return statistics.median(ours), statistics.median(raw), statistics.median(again)


def _ingest(place: tuple[int, int, int], pages: list[dict[str, Any]]) -> None:
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
        moved = F("position") + PAGE * len(parsed)
        Cursor.objects.filter(pk=cursor_id).update(position=moved)
