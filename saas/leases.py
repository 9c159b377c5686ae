"""Leases: rows that are work, held by one worker at a time, re-woken when their holder dies.

PostgreSQL owns the work; Celery only wakes it. A worker claims rows (SKIP LOCKED), does its network
calls outside any transaction, then `hold`s the row again in the transaction of the outcome. A lease
that ran out is anybody's; the former holder finds out in `hold` and drops its outcome.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, TypeVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class LeaseLost(Exception):
    """Another worker owns the row now; drop what was done for it."""


class LeasedModel(models.Model):
    """A unit of work. `attempts` counts claims since the last success."""

    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    last_error = models.TextField(blank=True, default="", editable=False)

    class Meta:
        abstract = True


L = TypeVar("L", bound=LeasedModel)


def free() -> Q:
    """Match rows whose lease is not held now."""
    return Q(lease_until=None) | Q(lease_until__lt=timezone.now())


def claim(rows: models.QuerySet[L], *, seconds: float, limit: int = 1) -> list[L]:
    """Lease up to `limit` free rows of `rows` for `seconds`; rows others hold are passed over.

    Call inside a scope. Locks the claimed rows FOR NO KEY UPDATE SKIP LOCKED until the commit,
    after which the lease protects them. Counts an attempt.
    """
    token = uuid.uuid4()
    until = timezone.now() + timedelta(seconds=seconds)
    claimed = list(
        rows.filter(free()).select_for_update(skip_locked=True, no_key=True, of=("self",))[:limit]
    )
    for row in claimed:
        row.lease_until, row.lease_token = until, token
        row.attempts += 1
    if claimed:
        rows.model._base_manager.filter(pk__in=[row.pk for row in claimed]).update(
            lease_until=until, lease_token=token, attempts=F("attempts") + 1
        )
    return claimed


def hold(row: L) -> L:
    """Lock the row for the outcome's transaction and return it fresh; raise LeaseLost if lost."""
    fresh = (
        type(row)
        ._base_manager.filter(pk=row.pk, lease_token=row.lease_token)
        .select_for_update(no_key=True, of=("self",))
        .first()
    )
    if fresh is None:
        raise LeaseLost(f"{row._meta.label} {row.pk}")
    return fresh


def renew(row: LeasedModel, *, seconds: float) -> None:
    """Keep the lease for `seconds` more; raise LeaseLost when it is another's."""
    _write(row, lease_until=timezone.now() + timedelta(seconds=seconds))


def release(row: LeasedModel, **fields: Any) -> None:
    """Give the row back, with its new state in `fields`; raise LeaseLost when it is another's."""
    _write(row, lease_until=None, lease_token=None, **fields)


def _write(row: LeasedModel, **fields: Any) -> None:
    mine = type(row)._base_manager.filter(pk=row.pk, lease_token=row.lease_token)
    if not mine.update(**fields):
        raise LeaseLost(f"{row._meta.label} {row.pk}")
    for name, value in fields.items():
        setattr(row, name, value)
