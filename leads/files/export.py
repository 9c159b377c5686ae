"""Leads as CSV, streamed: what the filters show, in the order in which the leads were added.

A page is one COPY in a scope of its own, by id from the last one on. So it starts at
once, holds one page however many rows there are, keeps no transaction open for a slow reader, and
meets every lead once even while their activity changes. PostgreSQL writes the CSV, made safe for
spreadsheets (`csvtext.safe`, in SQL); own fields are JSON in one column, which the import reads
back: columns of their own would take a look at every lead before the first line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import psycopg
from django.db import connection
from django.db.models.expressions import RawSQL

from accounts.models import Brand, User
from leads import search, words
from leads.files.columns import FIELDS, PERSON, STANDING
from leads.ingest.csvtext import safe
from leads.search import Filters
from saas import audit
from saas.tenancy import scope

FIRST, MOST = 1_000, 20_000  # rows of a page
BYTES = 8 * 1024 * 1024  # about; wide rows make small pages
HEADER = (*FIELDS.values(), *STANDING)
STANDS = ("status", "category", "replied", "joined_at", "last_activity_at")

# Each line begins with the id in 19 digits and a comma, which are cut off here.
KEY = 19
ID = "1000000000000000000 + {0}"
# `csvtext.safe`. Nearly all texts begin with a letter, and are told from formulas by that.
SAFE = """CASE WHEN ascii({0}) > 64 OR {0} = '' THEN {0}
  WHEN ascii({0}) IN (61, 43, 45, 64, 9, 13)
    OR (ascii({0}) = 39 AND {0} ~ '^''+[-=+@\\t\\r]') THEN '''' || {0} ELSE {0} END"""
YES = "CASE WHEN {0} THEN 'yes' ELSE '' END"
AT = "{0}::timestamp(0)"  # the connection's time zone is UTC
OWN = "nullif({0}::text, '{{}}')"
# Starting parallel workers for a page costs more than they save.
ALONE = "SET LOCAL max_parallel_workers_per_gather = 0"
IN_CAMPAIGN = """
SELECT {cells} FROM ({places}) m JOIN leads_lead l ON l.brand_id = %s AND l.id = m.lead_id
ORDER BY m.lead_id"""

Cell = tuple[str, tuple[Any, ...]]  # SQL and its parameters


def note(brand: Brand, filters: Filters, *, actor: User) -> None:
    """Journal that somebody takes leads along. Call before the first line."""
    with scope(brand):
        audit.record("leads.exported", brand, actor=actor, reason=filters.query() or "all leads")


def stream(brand_id: int, filters: Filters) -> Iterator[bytes]:
    """Yield the CSV: a byte order mark and the header, then a page of lines at a time.

    Opens its own scopes, none of them while it yields. To be repeated or broken off at any time.
    """
    yield b"\xef\xbb\xbf" + _header()
    last, rows = 0, FIRST
    while True:
        with scope(brand_id):
            lines, count, last = _page(brand_id, filters, last, rows)
        if count:
            yield lines
        if count < rows:
            return
        rows = max(1, min(MOST, BYTES * count // len(lines)))


def _header() -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(HEADER)
    return text.getvalue().encode()


def _page(brand_id: int, filters: Filters, last: int, most: int) -> tuple[bytes, int, int]:
    """Return up to `most` lines after lead `last`, how many they are, and the last one's lead."""
    sql, params = _query(brand_id, filters, last, most)
    lines, count, line = bytearray(), 0, b""
    sql = f"COPY ({sql}) TO STDOUT (FORMAT csv)"
    # psycopg's own: Django's cursor of DEBUG knows no COPY with parameters.
    with psycopg.ClientCursor(connection.connection) as cursor:
        cursor.execute(ALONE)
        with cursor.copy(sql, params) as copy:
            for row in copy:  # PostgreSQL sends a message for each row, whatever is in it
                line = bytes(row)
                lines += line[KEY + 1 :]
                count += 1
    return bytes(lines), count, int(line[1:KEY] or last)


def _query(brand_id: int, filters: Filters, last: int, most: int) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL of a page and its parameters."""
    # Leads, or their places in the campaign that was chosen; never their tags, which say nothing.
    sort = search.Sort.EMAIL if filters.campaign is None else search.Sort.ACTIVITY
    rows, number = search.matching(brand_id, filters, sort, whole=True)
    cut = rows.filter(**{f"{number}__gt": last}).order_by(number)
    if number == "id":
        cells = [RawSQL(*cell) for cell in _cells("leads_lead", "leads_lead")]  # noqa: S611
        return cut.values_list(*cells)[:most].query.sql_with_params()
    places, params = cut.values(number, *STANDS)[:most].query.sql_with_params()
    named = _cells("l", "m")
    select = ", ".join(cell for cell, _ in named)
    given = [value for _, values in named for value in values]
    return IN_CAMPAIGN.format(cells=select, places=places), (*given, *params, brand_id)


def _cells(lead: str, standing: str) -> list[Cell]:
    """Return what makes up a line, of a lead and of how it stands."""
    statuses = {code: name for code, (name, _) in words.STATUSES.items()}
    plain = [
        ID.format(f"{lead}.id"),
        *(SAFE.format(f"{lead}.{name}") for name in PERSON),
        YES.format(f"{lead}.unsubscribed"),
        OWN.format(f"{lead}.custom"),
    ]
    stands = [
        _named(f"{standing}.status", statuses),
        _named(f"{standing}.category", words.categories()),
        (YES.format(f"{standing}.replied"), ()),
        (AT.format(f"{standing}.joined_at"), ()),
        (AT.format(f"{standing}.last_activity_at"), ()),
    ]
    return [*((cell, ()) for cell in plain), *stands]


def _named(column: str, names: dict[Any, str]) -> Cell:
    """Return SQL that says a code in words; a code without words as it is."""
    cases = " ".join(["WHEN %s THEN %s"] * len(names))
    params = tuple(value for code, name in names.items() for value in (code, safe(name)))
    other = SAFE.format(f"{column}::text")
    return f"CASE WHEN {column} IS NOT NULL THEN CASE {column} {cases} ELSE {other} END END", params
