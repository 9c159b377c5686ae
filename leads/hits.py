"""Leads by words: an e-mail address by its beginning, names and companies by any part of three
letters. Capped, so that a word of every lead costs no more than a rare one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db import connection
from django.db.models import BooleanField, Func, Q, Value
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan

FOUND = 5_000  # hits of each kind
SHORTEST_PART = 3  # letters: below that no index of trigrams helps
# Words without three letters or digits in a row (one of them may be a sign) are looked for among so
# many of the newest leads alone: leads_find.
TRIGRAM = re.compile(r"[^\W_]{3}|[\W_][^\W_]{2}|[^\W_]{2}[\W_]")
WALKED = 200_000
BEYOND = "SELECT EXISTS (SELECT FROM leads_lead WHERE brand_id = %s ORDER BY id OFFSET %s)"
FIRST_AFTER = "\U0010ffff"

BEGINNINGS = "SELECT id FROM leads_lead WHERE brand_id = %s AND email >= %s AND email < %s LIMIT %s"
PARTS = "SELECT id FROM leads_find(%s, %s)"


@dataclass(frozen=True)
class Hits:
    """Ids of leads, ascending, and whether there are no others."""

    ids: list[int]
    all: bool = True


class OneOf(Func):
    """`column = ANY (array)`: one walk of an index, where `IN` is parsed number by number."""

    template = "%(expressions)s)"
    arg_joiner = " = ANY ("
    output_field = BooleanField()


class Sorted(Func):
    """The column, but in no index's order: that hits are fetched by their ids and sorted. In the
    order of an index PostgreSQL would read on and on for the first page of them."""

    function = "GREATEST"
    arity = 1


def by_words(words: str) -> Q:
    """The condition that `hits` looks up, for who asks each lead. No index serves it: that of
    trigrams would be read for all leads that have the words, to find the first of them."""
    needle = words.strip().lower()
    begins = Q(email__gte=needle, email__lt=needle + FIRST_AFTER)
    if len(needle) < SHORTEST_PART:
        return begins
    return begins | Q(GreaterThan(StrIndex("search", Value(needle)), 0))


def hits(brand_id: int, words: str) -> Hits | None:
    """Look the words up in the brand's leads; None for no words. Call in the brand's scope."""
    needle = words.strip().lower()
    if not needle:
        return None
    lookups: list[tuple[str, list[str | int]]] = [
        (BEGINNINGS, [brand_id, needle, needle + FIRST_AFTER, FOUND])
    ]
    if len(needle) >= SHORTEST_PART:
        lookups.append((PARTS, [needle, FOUND]))
    ids: set[int] = set()
    complete = True
    with connection.cursor() as cursor:
        for sql, params in lookups:
            cursor.execute(sql, params)
            found = cursor.fetchall()
            complete = complete and len(found) < FOUND
            ids.update(number for (number,) in found)
        if complete and len(needle) >= SHORTEST_PART and not TRIGRAM.search(needle):
            cursor.execute(BEYOND, [brand_id, WALKED])
            complete = not cursor.fetchone()[0]
    return Hits(sorted(ids), complete)
