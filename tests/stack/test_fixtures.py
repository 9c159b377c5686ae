"""The test bed itself: what every other test relies on."""

from __future__ import annotations

import os
import threading

import psycopg
import pytest
from django.db import connection

from tests.fixtures.database import LiveDb


def test_role_is_under_row_level_security(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False, False)


def test_ops_role_is_not_inherited(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inherit_option, set_option, admin_option FROM pg_auth_members"
            " WHERE roleid = 'harbor_ops'::regrole AND member = current_user::regrole"
        )
        assert cursor.fetchall() == [(False, True, False)]


@pytest.mark.parametrize("run", [1, 2])
def test_live_db_is_fresh_and_seen_by_threads_and_processes(live_db: LiveDb, run: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE made_by_this_test (n int)")
        cursor.execute("INSERT INTO made_by_this_test VALUES (%s)", [run])
    seen: list[object] = []

    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_database(), n FROM made_by_this_test")
            seen.append(cursor.fetchone())
        connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [(live_db.name, run)]
    assert os.environ["DATABASE_URL"] == live_db.url
    with psycopg.connect(live_db.url) as other:
        assert other.execute("SELECT n FROM made_by_this_test").fetchall() == [(run,)]
