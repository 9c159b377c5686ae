"""Brands: creating one, and finding those of a person.

Brand and Membership are under row-level security, so a person's own brands are found through
SECURITY DEFINER functions that take the user's id (migration 0002).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from django.db import connection
from django.utils.crypto import get_random_string
from django.utils.text import slugify

from accounts.models import Brand, Membership, User
from accounts.roles import Role
from saas import audit
from saas.errors import Refused
from saas.tenancy import everyone

Listener = Callable[[Brand, User], None]
_listeners: list[Listener] = []
_offers: list[Callable[[User], bool]] = []

UNMISTAKABLE = "abcdefghjkmnpqrstuvwxyz23456789"  # pragma: allowlist secret
RESERVED_SLUGS = frozenset({"new", "admin", "static", "accounts", "webhooks"})


@dataclass(frozen=True)
class Place:
    """A person's place in a brand, as the brand switcher and the middleware need it."""

    brand_id: int
    slug: str
    name: str
    role: str
    membership_id: int
    time_zone: str


def on_created(listener: Listener) -> None:
    """Register `listener(brand, actor)`, run in the transaction that creates a brand."""
    _listeners.append(listener)


def trial_offered_by(offer: Callable[[User], bool]) -> None:
    """Register `offer(user)`: whether the next brand of this person starts on a free trial."""
    _offers.append(offer)


def starts_on_trial(user: User) -> bool:
    """Tell whether the next brand that `user` makes starts on a free trial."""
    return any(offer(user) for offer in _offers)


def create(*, name: str, owner: User, request_key: UUID | None = None) -> Brand:
    """Create a brand with its owner and what the listeners add, in one transaction; audited.

    Locks the owner's row, so the brands of a person are made one after the other. Safe to repeat
    with the `request_key` of one form: returns the brand that it made. Raises Refused when that
    one is being deleted.
    """
    # A key that somebody else used, or guessed, is another key for this person.
    key = uuid5(request_key, str(owner.pk)) if request_key else None
    with everyone("create a brand"):
        User.objects.select_for_update(no_key=True).get(pk=owner.pk)
        made = Brand.objects.filter(request_key=key).first() if key else None
        if made is not None:
            return _still_there(made)
        brand = _insert(name=name, email=owner.email, request_key=key)
        membership = Membership.objects.create(brand=brand, user=owner, role=Role.OWNER)
        audit.record("brand.created", brand, actor=owner)
        audit.record("membership.created", membership, actor=owner)
        for listener in _listeners:
            listener(brand, owner)
    return brand


def update(brand: Brand, *, name: str, email: str, time_zone: str, actor: User) -> None:
    """Change a brand's name, billing address and time zone, in its scope; audited."""
    wanted = {"name": name, "email": email, "time_zone": time_zone}
    row = Brand.objects.select_for_update(no_key=True).get(pk=brand.pk)
    changes = {k: [getattr(row, k), v] for k, v in wanted.items() if getattr(row, k) != v}
    if not changes:
        return
    for field, (_, new) in changes.items():
        setattr(row, field, new)
    row.save(update_fields=list(changes))
    audit.record("brand.changed", row, actor=actor, changes=changes)


def _still_there(brand: Brand) -> Brand:
    if brand.erase_requested_at:
        raise Refused("brand_closed", f"{brand.name} was deleted. Open this page again.")
    return brand


def _insert(*, name: str, **fields: Any) -> Brand:
    """Insert the brand under the first address of its name that nobody takes meanwhile."""
    slugs = _slugs(name)
    while True:
        brand, made = Brand.objects.get_or_create(
            slug=next(slugs), defaults={"name": name, **fields}
        )
        if made:
            return brand


def _slugs(name: str) -> Iterator[str]:
    base = slugify(name)[:50] or "brand"
    if base not in RESERVED_SLUGS:
        yield base
    while True:
        yield f"{base}-{get_random_string(6, UNMISTAKABLE)}"


def lock(brand_id: int) -> None:
    """Make what follows serial within the brand until the commit. Call in its scope.

    Locks the brand's row FOR NO KEY UPDATE, which lets rows that refer to it be inserted.
    """
    Brand.objects.select_for_update(no_key=True).get(pk=brand_id)


def places(user: User) -> list[Place]:
    """Return every place of `user`, by name."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_places(%s, NULL)", [user.pk])
        return [Place(*row) for row in cursor.fetchall()]
