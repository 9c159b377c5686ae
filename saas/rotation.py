"""Moving everything that is sealed to the current key, while the system runs.

Keyed pages of a few hundred rows, one short transaction each. A row is written only where it still
holds the token that was read, so a value saved meanwhile wins (it was sealed with the current key
anyway). Safe to repeat, and to interrupt: the rest is found by the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models.functions import Left

from saas import crypto
from saas.crypto import SealedField
from saas.tenancy import everyone

BATCH = 500


@dataclass
class Report:
    """What a run did to one place; rows that do not open are left as they are."""

    place: str
    resealed: int = 0
    unopenable: int = 0


Holder = Callable[[], Report]
_holders: list[Holder] = []


def register(holder: Holder) -> Holder:
    """Add a place that holds tokens outside of a SealedField; it re-seals them when called."""
    _holders.append(holder)
    return holder


def rotate() -> Iterator[Report]:
    """Re-seal every place; yield a report for each."""
    for field in sealed_fields():
        yield _reseal_field(field)
    for holder in _holders:
        yield holder()


def sealed_fields() -> list[SealedField]:
    """Return the sealed columns of all installed models."""
    found = [
        field
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, SealedField) and model._meta.managed and not model._meta.proxy
    ]
    return sorted(found, key=lambda field: (field.model._meta.db_table, field.column))


def is_current(token: str) -> bool:
    """Tell whether `token` was sealed with the current key."""
    return token.partition(":")[0] == crypto.current_key_id()


def _reseal_field(field: SealedField) -> Report:
    report = Report(f"{field.model._meta.db_table}.{field.column}")
    last: Any = None
    while True:
        with everyone(f"rotate {report.place}"):
            rows = _page(field, last)
            for key, token, brand_id in rows:
                last = key
                _reseal_row(field, key, token, brand_id, report)
        if len(rows) < BATCH:
            return report


def _page(field: SealedField, last: Any) -> list[tuple[Any, str, int | None]]:
    prefix = f"{crypto.current_key_id()}:"
    rows: models.QuerySet[Any] = field.model._base_manager.annotate(
        sealed_by=Left(field.name, len(prefix))
    ).exclude(sealed_by__in=["", prefix])
    if last is not None:
        rows = rows.filter(pk__gt=last)
    brand = ("brand_id",) if any(f.attname == "brand_id" for f in field.model._meta.fields) else ()
    found = rows.order_by("pk").values_list("pk", field.name, *brand)[:BATCH]
    return [(row[0], str(row[1]), row[2] if brand else None) for row in found]


def _reseal_row(
    field: SealedField, key: Any, token: str, brand_id: int | None, report: Report
) -> None:
    place = field.place(brand_id)
    try:
        fresh = crypto.seal(crypto.unseal(token, context=place), context=place)
    except crypto.Unopenable:
        report.unopenable += 1
        return
    same = field.model._base_manager.filter(pk=key, **{field.name: crypto.as_token(token)})
    report.resealed += same.update(**{field.name: crypto.as_token(fresh)})
