"""The rows of a file that were left out, for the person who mends it: the first KEPT of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leads.files.columns import REJECTED
from leads.ingest.csvtext import safe
from leads.ingest.rejections import clean
from leads.models import Import, ImportRejection
from saas.tenancy import scope

KEPT = 100_000
LONGEST_CELL = 4_000
PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Rejected:
    line: int
    reason: str
    detail: str
    cells: list[str]


def record(job: Import, bad: Sequence[Rejected]) -> None:
    """Keep the rows while there is room; in the transaction that moves the position past them."""
    room = KEPT - ImportRejection.objects.filter(job=job)[:KEPT].count() if bad else 0
    ImportRejection.objects.bulk_create(
        [
            ImportRejection(
                job=job,
                line=row.line,
                reason=row.reason,
                detail=clean(row.detail)[:300],
                cells=[clean(cell[:LONGEST_CELL]) for cell in row.cells],
            )
            for row in bad[:room]
        ]
    )


def as_csv(job: Import) -> Iterator[bytes]:
    """Yield the kept rows as CSV: line, reason, then the file's own columns, ready to be mended
    and uploaded again. Opens its own scopes, a page each."""
    yield b"\xef\xbb\xbf" + _lines([[*REJECTED, *job.columns]])
    last = 0
    while True:
        with scope(job.brand_id):
            rows = ImportRejection.objects.filter(job_id=job.pk, line__gt=last).order_by("line")
            found = list(rows[:PAGE])
        if found:
            last = found[-1].line
            yield _lines([[str(row.line), row.detail, *row.cells] for row in found])
        if len(found) < PAGE:
            return


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([safe(cell) for cell in row] for row in rows)
    return text.getvalue().encode()
