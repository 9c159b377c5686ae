"""The accounts that exist, their counters, and what of it survives a restart.

Self-describing keys need no registration. Named accounts, touched leads, growth, deleted campaigns,
webhooks and the clock are in one small JSON file that is rewritten on each change; counters and
faults are not kept.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sandbox.control import Clock, read_json, write_json
from sandbox.smartlead.account import BadKey, Growth, Options, options_from_key
from sandbox.smartlead.book import Book, Change
from sandbox.smartlead.faults import Faults
from sandbox.smartlead.limits import Meter
from sandbox.smartlead.threads import Message


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where an account's events go; `campaign` None: those of all campaigns."""

    id: int
    key: str
    campaign: int | None
    name: str
    url: str
    events: tuple[str, ...]
    secret: str
    created: float
    signed: bool = False


@dataclass(slots=True)
class Tenant:
    """One key: its leads and its meter."""

    key: str
    book: Book
    meter: Meter


@dataclass
class Registry:
    """All state of the SmartLead stand-in. `save()` after a change."""

    path: Path
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    named: dict[str, Options] = field(default_factory=dict)
    webhooks: list[Webhook] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    tenants: dict[str, Tenant] = field(default_factory=dict)

    def tenant(self, key: str) -> Tenant | None:
        """The account of this key; None when there is no such account."""
        known = self.tenants.get(key)
        if known is not None:
            return known
        options = self.named.get(key)
        if options is None:
            try:
                options = options_from_key(key)
            except BadKey:
                return None
        self.tenants[key] = tenant = Tenant(key, Book(options), Meter(options))
        return tenant

    def name(self, key: str, options: Options) -> Tenant:
        """Makes or replaces a named account; touched leads of an earlier one are forgotten."""
        self.named[key] = options
        self.tenants[key] = tenant = Tenant(key, Book(options), Meter(options))
        return tenant

    def reset(self) -> None:
        """Back to the seed: counters, faults, touched leads, webhooks, named accounts and the
        clock.
        """
        self.clock.offset = 0
        self.faults.rules.clear()
        self.named.clear()
        self.webhooks.clear()
        self.deliveries.clear()
        self.tenants.clear()

    def save(self) -> None:
        write_json(self.path, self._state())

    def load(self) -> None:
        state = read_json(self.path)
        self.clock.offset = state.get("clock", 0)
        self.named = {key: Options(**options) for key, options in state.get("named", {}).items()}
        self.webhooks = [
            Webhook(**{**hook, "events": tuple(hook["events"])})
            for hook in state.get("webhooks", [])
        ]
        for key, kept in state.get("books", {}).items():
            tenant = self.tenant(key)
            if tenant is not None:
                tenant.book = _book(tenant.book.account.options, kept)

    def _state(self) -> dict[str, Any]:
        changed = (tenant for tenant in self.tenants.values() if _touched(tenant.book))
        return {
            "clock": self.clock.offset,
            "named": {key: asdict(options) for key, options in self.named.items()},
            "webhooks": [asdict(hook) for hook in self.webhooks],
            "books": {tenant.key: _kept(tenant.book) for tenant in changed},
        }


def _touched(book: Book) -> bool:
    return bool(book.changes or book.gone or book.account.growth)


def _kept(book: Book) -> dict[str, Any]:
    return {
        "growth": [asdict(batch) for batch in book.account.growth],
        "gone": sorted(book.gone),
        "changes": [[*place, asdict(change)] for place, change in book.changes.items()],
    }


def _book(options: Options, kept: dict[str, Any]) -> Book:
    book = Book(options, tuple(Growth(**batch) for batch in kept["growth"]))
    book.gone = set(kept["gone"])
    for campaign, position, change in kept["changes"]:
        messages = [Message(**message) for message in change.pop("messages")]
        book.changes[campaign, position] = Change(**change, messages=messages)
    return book
