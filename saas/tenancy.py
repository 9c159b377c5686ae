"""Tenancy: every tenant row carries its brand and is read through a scope.

PostgreSQL holds the rule (row-level security, see `saas.rls`); this module sets who is asking.
`scope(brand)` sees one brand. `everyone(reason)` becomes the role `harbor_ops`, whose policy admits
every row; it is for sweeps, reconciliation and the admin. Outside both, tenant tables are empty.

Both hold for one transaction only (`set_config(..., true)`, `SET LOCAL ROLE`), so pooled
connections and PgBouncer in transaction mode can't carry one tenant's sight to another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog
from django.db import connection, models, transaction

from saas import context
from saas.errors import Bug

log = structlog.get_logger(__name__)
M = TypeVar("M", bound=models.Model)

OPS_ROLE = "harbor_ops"


class HasKey(Protocol):
    @property
    def pk(self) -> Any: ...


@dataclass(frozen=True)
class _Sight:
    brand_id: int | None  # None: every brand
    ops: bool


_sight: ContextVar[_Sight | None] = ContextVar("harbor_sight", default=None)


def current_brand() -> int | None:
    """Return the brand of the innermost scope, or None (outside, or under everyone())."""
    sight = _sight.get()
    return sight.brand_id if sight else None


def in_scope() -> bool:
    """Tell whether a scope or everyone() is open, and with it a transaction."""
    return _sight.get() is not None


@contextmanager
def scope(brand: int | HasKey) -> Iterator[None]:
    """Run the block in a transaction that sees `brand` alone.

    The same brand may nest (a savepoint). Inside everyone() it narrows. Another brand inside a
    brand's scope raises Bug: one transaction never mixes tenants.
    """
    brand_id = brand if isinstance(brand, int) else int(brand.pk)
    outer = _sight.get()
    if outer and outer.brand_id not in (None, brand_id):
        raise Bug(f"a scope of brand {brand_id} inside the scope of brand {outer.brand_id}")
    inner = _Sight(brand_id, ops=bool(outer and outer.ops))
    with _enter(inner, outer), context.bind(brand_id=brand_id):
        yield


def within(brand: int | HasKey) -> AbstractContextManager[None]:
    """The scope of the brand that is open already, or else one for the block. For reads: what
    writes wants a scope of its own, so that a failure takes back its part alone."""
    brand_id = brand if isinstance(brand, int) else int(brand.pk)
    return nullcontext() if current_brand() == brand_id else scope(brand_id)


@contextmanager
def everyone(reason: str) -> Iterator[None]:
    """Run the block in a transaction that sees every brand; `reason` is logged.

    Raises Bug inside a brand's scope.
    """
    outer = _sight.get()
    if outer and outer.brand_id is not None:
        raise Bug(f"everyone({reason!r}) inside the scope of brand {outer.brand_id}")
    log.info("tenancy.everyone", reason=reason)
    with _enter(_Sight(None, ops=True), outer):
        yield


@contextmanager
def _enter(inner: _Sight, outer: _Sight | None) -> Iterator[None]:
    nested = connection.in_atomic_block
    with transaction.atomic():
        if inner != outer:
            _apply(inner)
        token = _sight.set(inner)
        try:
            yield
        finally:
            _sight.reset(token)
        # A commit or a rollback to the savepoint resets by itself; a released savepoint does not.
        if nested and inner != outer and not connection.needs_rollback:
            _apply(outer or _Sight(None, ops=False))


def _apply(sight: _Sight) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('app.brand', %s, true), set_config('role', %s, true)",
            [str(sight.brand_id or ""), OPS_ROLE if sight.ops else "none"],
        )


class TenantManager(models.Manager[M]):
    """Rows of the current scope's brand; every row under everyone(); Bug outside both.

    The policy would hide foreign rows anyway. Naming the brand lets PostgreSQL prune partitions
    while planning, and the Bug makes a forgotten scope loud instead of an empty page.
    """

    def get_queryset(self) -> models.QuerySet[M]:
        sight = _sight.get()
        if sight is None:
            raise Bug(f"{self.model._meta.label} read outside of scope() and everyone()")
        rows = super().get_queryset()
        return rows if sight.brand_id is None else rows.filter(brand_id=sight.brand_id)


class TenantModel(models.Model):
    """A row of one brand. Created in a scope, it takes the scope's brand unless given one."""

    brand = models.ForeignKey("accounts.Brand", on_delete=models.CASCADE, related_name="+")

    objects: TenantManager[Any] = TenantManager()

    class Meta:
        abstract = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not args and "brand" not in kwargs and "brand_id" not in kwargs:
            kwargs["brand_id"] = current_brand()
        super().__init__(*args, **kwargs)
