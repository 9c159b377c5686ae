"""Finding everything there is to protect: URL patterns, and tables that carry a brand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from django.urls import URLPattern, URLResolver, get_resolver
from psycopg import sql

BRAND_ROUTE = "b/<slug:slug>/"
NOBODY = 987_654_321  # a key that no row has


@dataclass(frozen=True)
class Page:
    """One URL pattern; `path(slug)` fills it with the brand and keys of nothing."""

    route: str
    pattern: URLPattern

    @property
    def view(self) -> Any:
        return self.pattern.callback

    def path(self, slug: str) -> str:
        path = self.route.replace("<slug:slug>", slug)
        path = re.sub(r"<int:\w+>", str(NOBODY), path)
        path = re.sub(r"<(str|slug|path):\w+>", "nothing", path)
        assert not set(path) & set("<(^"), f"the walk can't fill {path}"
        return f"/{path}"


def pages(resolver: Any = None, prefix: str = "") -> Iterator[Page]:
    """Every URL pattern of the site."""
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from pages(entry, route)
        else:
            yield Page(route, entry)


def brand_pages() -> list[Page]:
    return [page for page in pages() if page.route.startswith(BRAND_ROUTE)]


TABLES = """
SELECT c.relname, c.relispartition FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'brand_id' AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') ORDER BY c.relname
"""
COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '',
       a.attidentity <> '' OR a.atthasdef, i.indisprimary IS TRUE
FROM pg_attribute a
LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey)
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""


def tables(connection: psycopg.Connection[Any]) -> list[tuple[str, bool]]:
    """(table, whether it is a partition) of all that carry a brand."""
    return connection.execute(TABLES).fetchall()


def plant(connection: psycopg.Connection[Any], table: str, brand_id: int) -> None:
    """Insert a row of `brand_id` and nothing else, as a superuser, past every other rule.

    What the row says does not matter: row-level security looks at its brand alone.
    """
    given: dict[str, Any] = {"brand_id": brand_id}
    name = sql.Identifier(table)
    run = connection.execute
    run("SET session_replication_role = replica")  # no triggers, no keys, partitions included
    for column, kind, generated, has_default, primary in run(COLUMNS, [table]).fetchall():
        if column == "brand_id" or generated:
            continue
        if primary and not has_default:
            given[column] = _any_value(kind, brand_id)
        elif not primary:
            drop = sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL")
            run(drop.format(name, sql.Identifier(column)))
    checks = "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'"
    for (check,) in run(checks, [table]).fetchall():
        drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
        run(drop.format(name, sql.Identifier(check)))
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        name,
        sql.SQL(", ").join(map(sql.Identifier, given)),
        sql.SQL(", ").join(sql.Placeholder() * len(given)),
    )
    run(insert, list(given.values()))


def _any_value(kind: str, number: int) -> Any:
    if kind == "uuid":
        return f"00000000-0000-4000-8000-{number:012d}"
    return number if "int" in kind else str(number)
