"""What a request or a timer works with: the store, the time, and the events it causes."""

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sandbox.stripe import deliveries
from sandbox.stripe.contract import Contract
from sandbox.stripe.errors import missing
from sandbox.stripe.store import Obj, Store, new_id


@dataclass(frozen=True)
class Config:
    """What is fixed while the process lives."""

    base_url: str
    app_url: str
    webhook_secret: str
    account_id: str
    contract: Contract


@dataclass
class Tx:
    """One unit of work. `now` is simulated time; everything created in it carries that stamp."""

    store: Store
    config: Config
    now: int
    request_id: str | None = None
    idempotency_key: str | None = None
    events: list[str] = field(default_factory=list)

    def get(self, kind: str, identifier: str, param: str | None = None) -> Obj:
        """The object, or `No such ...`: 404 for the path's object, 400 for a parameter's."""
        obj = self.store.find(identifier, kind)
        if obj is None:
            raise missing(kind, identifier, param or "id", 400 if param else 404)
        return obj

    def new(self, kind: str, **fields: Any) -> Obj:
        """A stored object with an id, a stamp and null in every field nobody set."""
        return self.store.add(self._build(kind, fields))

    def part(self, schema: str, **fields: Any) -> Obj:
        """A nested object of the named schema with null in every field nobody set."""
        return dict.fromkeys(self.config.contract.nullable(schema)) | fields

    def emit(self, kind: str, obj: Obj, previous: Obj | None = None) -> Obj:
        """Records an event about `obj` as it is now and queues its deliveries."""
        data: Obj = {"object": public(obj)}
        if previous is not None:
            data["previous_attributes"] = previous
        event = self._build(
            "event",
            {
                "api_version": self.config.contract.api_version,
                "data": data,
                "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
                "type": kind,
            },
        )
        event["pending_webhooks"] = deliveries.enqueue(self.store, event, time.time())
        self.store.add(event, final=True)
        self.events.append(event["id"])
        return event

    def _build(self, kind: str, fields: Obj) -> Obj:
        base: Obj = {"id": fields.get("id") or new_id(kind), "object": kind}
        obj = base | self.part(kind) | {"created": self.now, "livemode": False} | fields
        for name in _UNSTAMPED.get(kind, ()):
            obj.pop(name)
        return obj

    @contextmanager
    def changing(self, obj: Obj, event: str | None = None) -> Iterator[Obj]:
        """Saves what the block changes; when something did change, emits `event` with
        the previous values."""
        before = copy.deepcopy(public(obj))
        yield obj
        self.store.save(obj)
        previous = difference(before, public(obj))
        if previous and event:
            self.emit(event, obj, previous)

    def schedule(self, obj: Obj, action: str, at: int) -> None:
        """Has the clock run `action` on the object then; replaces an earlier appointment."""
        sql = "INSERT OR REPLACE INTO timers (object, action, at) VALUES (?, ?, ?)"
        self.store.run(sql, obj["id"], action, at)

    def unschedule(self, obj: Obj, *actions: str) -> None:
        """Cancels the named appointments, or all of the object's."""
        for action in actions:
            sql = "DELETE FROM timers WHERE object = ? AND action = ?"
            self.store.run(sql, obj["id"], action)
        if not actions:
            self.store.run("DELETE FROM timers WHERE object = ?", obj["id"])


_UNSTAMPED = {
    "balance_transaction": ("livemode",),
    "invoiceitem": ("created",),
    "refund": ("livemode",),
}


def public(value: Any) -> Any:
    """The value as the API shows it: without the sandbox's own `_` keys. Always a copy."""
    if isinstance(value, dict):
        return {k: public(v) for k, v in value.items() if not k.startswith("_")}
    if isinstance(value, list):
        return [public(item) for item in value]
    return value


def difference(before: Obj, after: Obj) -> Obj:
    """`previous_attributes`: the old values of what changed, nested objects key by key."""
    changed: Obj = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        nested = isinstance(old, dict) and isinstance(new, dict)
        changed[name] = difference(old, new) if nested else old  # type: ignore[arg-type]
    return changed


def listing(rows: list[Obj], url: str, *, has_more: bool = False) -> Obj:
    return {"object": "list", "data": rows, "has_more": has_more, "url": url}
