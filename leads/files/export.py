"""Leads as CSV, streamed: what the filters show, in the order in which the leads were added.

A page is one COPY of PAGE rows in a scope of its own, by id from the last one on. So it starts at
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

from django.db import connection

from accounts.models import Brand, User
from leads import search, words
from leads.files.columns import CUSTOM, FIELDS, PERSON, STANDING, UNSUBSCRIBED
from leads.ingest.csvtext import safe
from leads.search import Filters
from saas import audit
from saas.tenancy import scope

PAGE = 10_000
HEADER = (*FIELDS.values(), *STANDING)
KEY = 19  # digits of the id that each line begins with, and a comma; cut off here
STANDS = ("status", "category", "replied", "joined_at", "last_activity_at")

# Nearly all texts begin with a letter, and are told from formulas by that.
SAFE = (
    """CASE WHEN {0} < 'A' COLLATE "C" AND {0} ~ '^''*[-=+@\\t\\r]'"""
    " THEN '''' || {0} ELSE {0} END"
)
AT = "({0} AT TIME ZONE 'UTC')::timestamp(0)"


def note(brand: Brand, filters: Filters, *, actor: User) -> None:
    """Journal that somebody takes leads along. Call before the first line."""
    with scope(brand):
        audit.record("leads.exported", brand, actor=actor, reason=filters.query() or "all leads")


def stream(brand_id: int, filters: Filters) -> Iterator[bytes]:
    """Yield the CSV: a byte order mark and the header, then a page of lines at a time.

    Opens its own scopes, none of them while it yields. To be repeated or broken off at any time.
    """
    yield b"\xef\xbb\xbf" + _header()
    last = 0
    while True:
        with scope(brand_id):
            lines = _page(brand_id, filters, last)
        if lines:
            last = int(bytes(lines[-1][:KEY]))
            yield b"".join(line[KEY + 1 :] for line in lines)
        if len(lines) < PAGE:
            return


def _header() -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(HEADER)
    return text.getvalue().encode()


def _page(brand_id: int, filters: Filters, last: int) -> list[Any]:
    """Return the lines after lead `last`; COPY hands them out one by one."""
    rows, number = search.matching(brand_id, filters)
    columns = ["id", *PERSON, UNSUBSCRIBED, CUSTOM, *STANDS] if number == "id" else STANDS
    cut = rows.filter(**{f"{number}__gt": last}).order_by(number)
    inner, params = cut.values(*{number: 0, **dict.fromkeys(columns, 0)})[
        :PAGE
    ].query.sql_with_params()
    select, names = _cells("m" if number == "id" else "l")
    source = f"({inner}) m"
    if number != "id":
        source += " JOIN leads_lead l ON l.brand_id = %s AND l.id = m.lead_id"
        params = (*params, brand_id)
    sql = f"COPY (SELECT {select} FROM {source} ORDER BY m.{number}) TO STDOUT (FORMAT csv)"  # noqa: S608
    with connection.cursor() as cursor, cursor.copy(sql, (*names, *params)) as copy:
        return list(copy)


def _cells(lead: str) -> tuple[str, list[Any]]:
    """Return the select list, with the lead's own columns from `lead`, and its parameters."""
    status, statuses = _named(
        "m.status", {code: name for code, (name, _) in words.STATUSES.items()}
    )
    category, categories = _named("m.category", words.categories())
    cells = [
        f"lpad({lead}.id::text, {KEY}, '0')",
        *(SAFE.format(f"{lead}.{name}") for name in PERSON),
        f"CASE WHEN {lead}.unsubscribed THEN 'yes' ELSE '' END",
        f"CASE WHEN {lead}.custom = '{{}}' THEN '' ELSE {lead}.custom::text END",
        status,
        category,
        "CASE WHEN m.replied THEN 'yes' ELSE '' END",
        AT.format("m.joined_at"),
        AT.format("m.last_activity_at"),
    ]
    return ", ".join(cells), [*statuses, *categories]


def _named(column: str, names: dict[Any, str]) -> tuple[str, list[Any]]:
    """Return SQL that says a code in words; a code without words as it is."""
    cases = " ".join(["WHEN %s THEN %s"] * len(names))
    params = [value for code, name in names.items() for value in (code, safe(name))]
    return f"CASE {column} {cases} ELSE {SAFE.format(f'{column}::text')} END", params
