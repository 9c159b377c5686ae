"""What Harbor holds for a brand: taking it along, and having it erased.

Each app registers its holdings in ready(). An export streams one JSON-lines file per holding in a
zip, in constant memory, one short transaction a page. An erasure is a fact in the brand's row: from
that commit on the brand is closed to everyone, and a task erases holding by holding in batches
until the row itself goes. A worker that dies is followed by the sweep; repeating is safe.
"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import RawIOBase
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Brand, User
from saas import audit
from saas.celery import wake
from saas.errors import Refused
from saas.tenancy import everyone, scope

PAGE = 1000
BUDGET_SECONDS = 40.0

Rows = Callable[[int], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class Holding:
    """One kind of data. `rows(brand_id)` opens its own scopes; `count()` runs in the scope;
    `erase()` deletes one batch in the scope and returns how many rows went (None: they go with
    the brand's row)."""

    name: str
    order: int
    rows: Rows
    noun: str = ""
    count: Callable[[], int] | None = None
    erase: Callable[[], int] | None = None


_holdings: dict[str, Holding] = {}
_guards: list[Callable[[Brand, User], None]] = []
_preparations: list[Callable[[int], None]] = []


def register(
    name: str,
    *,
    order: int,
    rows: Rows,
    noun: str = "",
    count: Callable[[], int] | None = None,
    erase: Callable[[], int] | None = None,
) -> None:
    """Add a holding; erasure goes through them from the highest `order` to the lowest."""
    _holdings[name] = Holding(name, order, rows, noun, count, erase)


def before_erasure(guard: Callable[[Brand, User], None]) -> None:
    """Register `guard(brand, actor)`, which raises Refused for a brand that can't go yet."""
    _guards.append(guard)


def to_prepare_erasure(prepare: Callable[[int], None]) -> None:
    """Register `prepare(brand_id)`: it ends at others what the brand would leave open there."""
    _preparations.append(prepare)


def prepare_erasure(brand_id: int) -> None:
    """Do what must be done at others before the guards look. Safe to repeat, and harmless for a
    brand that stays. Call outside of any scope."""
    for prepare in _preparations:
        prepare(brand_id)


def refuse_when_closed() -> None:
    """Raise Refused("brand_closed") when the scope's brand is being erased. Who begins what would
    outlive the brand asks this under a lock that a guard takes too."""
    if not Brand.objects.filter(erase_requested_at=None).exists():
        raise Refused("brand_closed", "This brand is being deleted.")


def holdings() -> list[Holding]:
    return sorted(_holdings.values(), key=lambda h: h.order)


def figures() -> list[tuple[str, int]]:
    """Return what a deletion would take, as (noun, number); in the brand's scope."""
    return [(h.noun, h.count()) for h in holdings() if h.noun and h.count]


def pages(
    brand_id: int, rows: Callable[[], QuerySet[Any]], *fields: str, page: int = PAGE
) -> Iterator[dict[str, Any]]:
    """Yield `fields` of every row, by primary key, with a transaction for each page alone."""
    last: Any = 0
    while True:
        with scope(brand_id):
            found = list(rows().filter(pk__gt=last).order_by("pk").values("pk", *fields)[:page])
        for row in found:
            last = row.pop("pk")
            yield row
        if len(found) < page:
            return


class _Pipe(RawIOBase):
    """A file that only remembers what was written since the last `take`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def export(brand_id: int) -> Iterator[bytes]:
    """Yield a zip of everything held for the brand, as it is read."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for holding in holdings():
            with archive.open(f"{holding.name}.jsonl", "w", force_zip64=True) as out:
                for row in holding.rows(brand_id):
                    out.write(json.dumps(row, cls=DjangoJSONEncoder).encode() + b"\n")
                    if chunk := pipe.take():
                        yield chunk
    yield pipe.take()


def note_export(brand: Brand, *, actor: User) -> None:
    """Journal that somebody takes the brand's data along."""
    with scope(brand):
        audit.record("brand.exported", brand, actor=actor)


def request_erasure(brand: Brand, *, actor: User) -> None:
    """Close the brand for good and have it erased; audited. In its scope.

    Raises Refused when a guard does (a subscription that still runs). `prepare_erasure` comes
    first.
    """
    row = Brand.objects.select_for_update(no_key=True).get(pk=brand.pk)
    for guard in _guards:
        guard(row, actor)
    row.erase_requested_at = timezone.now()
    row.save(update_fields=["erase_requested_at"])
    held = {noun: [number, 0] for noun, number in figures()}
    audit.record("brand.erasure_requested", row, actor=actor, changes=held)
    wake("accounts.brand.erase", brand.pk)


def erase(brand_id: int) -> bool:
    """Erase for at most BUDGET_SECONDS; tell whether the brand is gone. Safe to repeat, and at
    the same time: a batch that another worker took is simply smaller."""
    with scope(brand_id):
        if not Brand.objects.filter(pk=brand_id, erase_requested_at__isnull=False).exists():
            return True
    began = time.monotonic()
    for holding in reversed(holdings()):
        while holding.erase:
            with scope(brand_id):
                if not holding.erase():
                    break
            if time.monotonic() - began > BUDGET_SECONDS:
                wake("accounts.brand.erase", brand_id)
                return False
    with everyone("erase a brand"):
        gone = Brand.objects.select_for_update().filter(pk=brand_id).first()
        if gone is not None:  # else another worker was first
            audit.record("brand.erased", gone, actor=None)
            gone.delete()
    return True


def sweep() -> int:
    """Wake the erasures that are still open; return how many."""
    with everyone("sweep erasures"):
        rows = Brand.objects.filter(erase_requested_at__isnull=False)
        found = list(rows.values_list("pk", flat=True)[:100])
        for brand_id in found:
            wake("accounts.brand.erase", brand_id)
    return len(found)
