"""State on disk: one SQLite file, one transaction a request, so that kill -9 loses nothing
that was answered and keeps nothing that was not.

Objects are JSON documents. Keys that begin with `_` are the sandbox's own (a card's number, a
session's choices) and never leave it. Within a transaction an id always gives the same dict, so
that two places changing one object don't overwrite each other; `save` writes it at commit.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Obj = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    created INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_by_customer
    ON objects (kind, json_extract(body, '$.customer'), seq);
CREATE INDEX IF NOT EXISTS objects_by_subscription
    ON objects (kind, json_extract(body, '$._subscription'), seq);
CREATE TABLE IF NOT EXISTS timers (
    object TEXT NOT NULL, action TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (object, action));
CREATE INDEX IF NOT EXISTS timers_by_time ON timers (at);
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, fingerprint TEXT NOT NULL, status INTEGER NOT NULL,
    body TEXT NOT NULL, kept_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL,
    due REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'pending',
    status INTEGER, error TEXT, forgery TEXT);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, due);
CREATE TABLE IF NOT EXISTS usage (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, meter TEXT NOT NULL, customer TEXT NOT NULL,
    identifier TEXT NOT NULL, at INTEGER NOT NULL, value TEXT NOT NULL, arrived INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS usage_by_time ON usage (meter, customer, at);
CREATE INDEX IF NOT EXISTS usage_by_identifier ON usage (identifier);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
TABLES = ("objects", "timers", "idempotency", "deliveries", "usage", "meta")
PREFIXES = {
    "balance_transaction": "txn",
    "billing.meter": "mtr_test",
    "billing_portal.configuration": "bpc",
    "billing_portal.session": "bps",
    "charge": "ch",
    "checkout.session": "cs_test",
    "customer": "cus",
    "customer_balance_transaction": "cbtxn",
    "discount": "di",
    "event": "evt",
    "invoice": "in",
    "invoice_payment": "inpay",
    "invoiceitem": "ii",
    "item": "li",
    "line_item": "il",
    "payment_intent": "pi",
    "payment_method": "pm",
    "price": "price",
    "product": "prod",
    "promotion_code": "promo",
    "refund": "re",
    "setup_intent": "seti",
    "subscription": "sub",
    "subscription_schedule": "sub_sched",
    "subscription_item": "si",
    "tax_id": "txi",
    "test_helpers.test_clock": "clock",
    "tax_rate": "txr",
    "webhook_endpoint": "we",
}
LENGTHS = {"cus": 14, "prod": 14, "si": 14, "cs_test": 58}
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def new_id(kind: str) -> str:
    """An id in Stripe's format for that kind of object."""
    prefix = PREFIXES[kind]
    return f"{prefix}_{token(LENGTHS.get(prefix, 24))}"


def token(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


@dataclass(frozen=True)
class Page:
    """One answer of a list: newest first."""

    rows: list[Obj]
    has_more: bool


class Store:
    """One connection, used by one event loop. Transactions don't nest."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(SCHEMA)
        self._loaded: dict[str, Obj] = {}
        self._changed: dict[str, Obj] = {}

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits what was saved; any exception undoes it all."""
        self._loaded.clear()
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._flush()
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        finally:
            self._loaded.clear()
            self._changed.clear()

    @contextmanager
    def discarded(self) -> Iterator[None]:
        """Undoes what the block does, for a preview. Objects read inside are copies."""
        self._flush()
        outside, self._loaded = self._loaded, {}
        changed, self._changed = self._changed, {}
        self._db.execute("SAVEPOINT preview")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK TO preview")
            self._db.execute("RELEASE preview")
            self._loaded, self._changed = outside, changed

    def find(self, identifier: str, kind: str | None = None) -> Obj | None:
        """The object with that id (of that kind), the same dict all through a transaction."""
        obj = self._loaded.get(identifier)
        if obj is None:
            row = self.one("SELECT body FROM objects WHERE id = ?", identifier)
            if row is None:
                return None
            obj = self._loaded[identifier] = json.loads(row[0])
        return obj if kind is None or obj["object"] == kind else None

    def add(self, obj: Obj, *, final: bool = False) -> Obj:
        """Makes a new object known. Raises `sqlite3.IntegrityError` when the id is taken. What
        is `final` is written as it is; later changes of it need `save`."""
        self._db.execute(
            "INSERT INTO objects (id, kind, created, body) VALUES (?, ?, ?, ?)",
            (obj["id"], obj["object"], obj.get("created", 0), json.dumps(obj)),
        )
        self._loaded[obj["id"]] = obj
        if not final:
            self._changed[obj["id"]] = obj
        return obj

    def save(self, obj: Obj) -> None:
        self._changed[obj["id"]] = obj

    def select(self, kind: str, **equal: Any) -> list[Obj]:
        """All objects of a kind whose fields have these values, oldest first."""
        where, values = _conditions(equal)
        return self._query(f"kind = ? {where} ORDER BY seq", [kind, *values])

    def page(
        self,
        kind: str,
        equal: dict[str, Any],
        ranges: dict[str, dict[str, int]],
        limit: int,
        after: str | None = None,
        before: str | None = None,
    ) -> Page:
        """Keyset page by the position of the cursor object, as starting_after/ending_before."""
        where, values = _conditions(equal)
        for field, bounds in ranges.items():
            for name, bound in bounds.items():
                where += f" AND json_extract(body, '$.{field}') {_OPERATORS[name]} ?"
                values.append(bound)
        order = "DESC"
        cursor = after or before
        if cursor:
            order = "DESC" if after else "ASC"
            where += f" AND seq {'<' if after else '>'} (SELECT seq FROM objects WHERE id = ?)"  # noqa: S608
            values.append(cursor)
        rows = self._query(
            f"kind = ? {where} ORDER BY seq {order} LIMIT {limit + 1}", [kind, *values]
        )
        kept = rows[:limit]
        return Page(kept if order == "DESC" else kept[::-1], len(rows) > limit)

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def run(self, sql: str, *values: Any) -> int:
        """Executes a statement; answers how many rows it touched."""
        return self._db.execute(sql, values).rowcount

    def meta(self, name: str, default: Any = None) -> Any:
        row = self.one("SELECT value FROM meta WHERE name = ?", name)
        return default if row is None else json.loads(row[0])

    def set_meta(self, name: str, value: Any) -> None:
        self.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, json.dumps(value))

    def clear(self) -> None:
        """Forgets everything, for a reset."""
        for table in TABLES:
            self.run(f"DELETE FROM {table}")  # noqa: S608
        self._loaded.clear()
        self._changed.clear()

    def _query(self, where: str, values: list[Any]) -> list[Obj]:
        self._flush()
        sql = f"SELECT id, body FROM objects WHERE {where}"  # noqa: S608
        found = []
        for identifier, body in self.all(sql, *values):
            if identifier not in self._loaded:
                self._loaded[identifier] = json.loads(body)
            found.append(self._loaded[identifier])
        return found

    def _flush(self) -> None:
        """Writes what was saved, so that SQL sees it. It stays marked: it may change again."""
        for obj in self._changed.values():
            self.run("UPDATE objects SET body = ? WHERE id = ?", json.dumps(obj), obj["id"])


_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _conditions(equal: dict[str, Any]) -> tuple[str, list[Any]]:
    where = ""
    values: list[Any] = []
    for field, value in equal.items():
        if value is None:
            where += f" AND json_extract(body, '$.{field}') IS NULL"
        elif isinstance(value, (list, tuple)):
            marks = ", ".join("?" for _ in value)
            where += f" AND json_extract(body, '$.{field}') IN ({marks})"
            values.extend(value)
        else:
            where += f" AND json_extract(body, '$.{field}') = ?"
            values.append(value)
    return where, values
