"""Every table that carries a brand: nothing without a scope, one brand in a scope, no way across.

A row is planted for each of two brands in every such table of a database of its own, partitions and
event tables included, so no table passes because it is empty.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from psycopg import sql

from accounts.models import Membership
from saas.tenancy import everyone, scope
from tests.factories import make_brand
from tests.tenancy import walk

POLICIES = """
SELECT polname, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid), polcmd::text,
       polpermissive, polroles::regrole[]::text
FROM pg_policy WHERE polrelid = %s::regclass ORDER BY polname
"""
EQUALITY = "({column} = (NULLIF(current_setting('app.brand'::text, true), ''::text))::bigint)"


@pytest.fixture
def boss(live_db: Any) -> Iterator[psycopg.Connection[Any]]:
    """A superuser, whom no policy binds, in the test's own database."""
    url = os.environ["HARBOR_TEST_SUPERUSER_URL"].rpartition("/")[0] + f"/{live_db.name}"
    with psycopg.connect(url, autocommit=True) as found:
        yield found


def rows(table: str) -> list[int]:
    column = "id" if table == "accounts_brand" else "brand_id"
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT {column} FROM "{table}"')
        return sorted(brand_id for (brand_id,) in cursor.fetchall())


def refused(statement: str, params: list[Any]) -> bool:
    """Whether PostgreSQL refuses the statement, or it touches no row."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, params)
            return cursor.rowcount == 0
    except DatabaseError as e:
        # A partition, named directly, may refuse by its bounds before the policy is asked.
        return any(words in str(e) for words in ("row-level security", "partition constraint"))


def test_every_table_with_a_brand_is_under_forced_row_level_security(
    boss: psycopg.Connection[Any],
) -> None:
    names = [name for name, _ in walk.tables(boss)]
    assert len([n for n in names if n.startswith("leads_lead_")]) >= 16  # the walk finds partitions
    assert "accounts_membershipevent" in names  # and event tables
    for table in ["accounts_brand", *names]:
        flags = boss.execute(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass",
            [table],
        ).fetchone()
        assert flags == (True, True), table
        column = "id" if table == "accounts_brand" else "brand_id"
        assert boss.execute(POLICIES, [table]).fetchall() == [
            ("ops", "true", "true", "*", True, "{harbor_ops}"),
            ("tenant", EQUALITY.format(column=column), None, "*", True, "{-}"),
        ], table


def test_no_table_shows_a_foreign_row_or_takes_one(boss: psycopg.Connection[Any]) -> None:
    mine, other = make_brand(), make_brand()
    for table, is_partition in walk.tables(boss):
        if not is_partition:
            boss.execute(
                sql.SQL("ALTER TABLE {} DISABLE TRIGGER ALL").format(sql.Identifier(table))
            )
            boss.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            walk.plant(boss, table, mine.pk)
            walk.plant(boss, table, other.pk)
    for table, is_partition in [("accounts_brand", False), *walk.tables(boss)]:
        assert rows(table) == [], f"{table} shows rows without a scope"
        with scope(mine):
            seen = rows(table)
            assert set(seen) <= {mine.pk}, f"{table} shows foreign rows"
            assert is_partition or seen == [mine.pk], f"{table} hides its own rows"
            _assert_no_way_across(table, mine.pk, other.pk)
        with everyone("test"):
            assert is_partition or rows(table) == [mine.pk, other.pk], table


def _assert_no_way_across(table: str, mine: int, other: int) -> None:
    column = "id" if table == "accounts_brand" else "brand_id"
    change = f'UPDATE "{table}" SET {column} = %s WHERE {column} = %s'
    assert refused(change, [mine, other]), f"{table}: takes a foreign row over"
    assert refused(change, [other, mine]), f"{table}: gives a row away"
    assert refused(f'DELETE FROM "{table}" WHERE {column} = %s', [other]), f"{table}: deletes"
    if table != "accounts_brand":
        insert = f'INSERT INTO "{table}" (brand_id) OVERRIDING SYSTEM VALUE VALUES (%s)'
        assert _insert_refused(insert, other), f"{table}: takes a row for another brand"


def _insert_refused(statement: str, brand_id: int) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, [brand_id])
    except DatabaseError as e:
        # A key without a default fails first on some tables; either way nothing is written.
        return any(
            words in str(e)
            for words in ("row-level security", "null value", "partition constraint")
        )
    return False


def test_threads_that_share_connections_leak_nothing(live_db: Any) -> None:
    brands = [make_brand() for _ in range(4)]
    wrong: list[str] = []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        for turn in range(30):
            brand = brands[(number + turn) % len(brands)]
            if rows("accounts_membership"):
                wrong.append("rows outside of every scope")
            try:
                with scope(brand):
                    found = {m.brand_id for m in Membership.objects.all()}
                    if found != {brand.pk} or set(rows("accounts_membership")) != {brand.pk}:
                        wrong.append(f"{found} in the scope of {brand.pk}")
                    if turn % 3 == 0:
                        raise RuntimeError
            except RuntimeError:
                pass
            connection.close()  # back into the pool, for another thread

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert wrong == []
