"""The embedded PostgreSQL: ours alone, safe after a crash, and never root."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import psycopg
import pytest

from saas.embedded import privilege
from saas.embedded.postgres import DATABASE, Postgres, recover
from saas.embedded.processes import Identity, wait_until
from saas.errors import Misconfigured


def ask(server: Postgres, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url()) as connection:
        return connection.execute(question).fetchall()


def test_the_application_has_no_power_over_row_level_security(cluster: Postgres) -> None:
    powers = "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles"
    assert ask(cluster, f"{powers} WHERE rolname = current_user") == [(False,) * 4]
    assert ask(cluster, f"{powers} WHERE rolname = 'harbor_ops'") == [(False,) * 4]


def test_the_database_is_born_with_its_extensions(cluster: Postgres) -> None:
    names = {name for (name,) in ask(cluster, "SELECT extname FROM pg_extension")}
    assert {"pg_trgm", "btree_gin"} <= names


def test_the_passwords_are_for_the_owner_alone(cluster: Postgres) -> None:
    assert stat.S_IMODE((cluster.state / "postgres.json").stat().st_mode) == 0o600
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(cluster.url().replace(":", ":x", 2).replace("x//", "//"))


def test_it_does_not_run_as_root(cluster: Postgres) -> None:
    owner = Path(f"/proc/{cluster.pid}").stat().st_uid
    assert owner != 0
    assert owner == (privilege.NOBODY if privilege.is_root() else os.getuid())


def test_a_second_start_keeps_data_and_port(cluster: Postgres) -> None:
    with psycopg.connect(cluster.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    port = cluster.port
    assert cluster.stop()
    cluster.start()
    assert cluster.port == port
    assert ask(cluster, "SELECT answer FROM kept") == [(42,)]


def test_it_starts_after_being_killed(cluster: Postgres) -> None:
    assert cluster.pid is not None
    os.kill(cluster.pid, signal.SIGKILL)
    assert wait_until(lambda: not cluster.alive(), 60)
    cluster.start()
    assert ask(cluster, "SELECT current_database()") == [(DATABASE,)]


def test_a_lock_file_that_names_a_stranger_is_dropped(cluster: Postgres) -> None:
    """After a crash the system may give the server's pid to somebody else: here, to us."""
    cluster.stop()
    lock = cluster.data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{cluster.data}\n")
    cluster.start()
    assert ask(cluster, "SELECT 1") == [(1,)]
    assert Identity.of(os.getpid()) is not None


def test_a_server_that_lost_its_supervisor_is_taken_over(cluster: Postgres) -> None:
    successor = Postgres(cluster.state, durable=False)
    successor.start()
    try:
        assert wait_until(lambda: not cluster.alive(), 60)
        assert ask(successor, "SELECT 1") == [(1,)]
    finally:
        successor.stop()
        cluster.start()


def test_a_foreign_server_on_its_port_is_not_taken_for_its_own(
    cluster: Postgres, tmp_path: Path
) -> None:
    foreign_port, other = cluster.port, Postgres(tmp_path, durable=False)
    other.port = foreign_port
    other.start()
    try:
        assert other.port != foreign_port
        with other.superuser() as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        assert row == (str(other.data),)
        assert cluster.alive()
    finally:
        other.stop()
        other.destroy()


def test_lost_passwords_are_said_in_a_sentence(cluster: Postgres, tmp_path: Path) -> None:
    kept = (cluster.state / "postgres.json").rename(tmp_path / "kept")
    try:
        with pytest.raises(Misconfigured, match=r"is gone.*--fresh"):
            Postgres(cluster.state).start()
    finally:
        kept.rename(cluster.state / "postgres.json")


def test_recover_leaves_a_folder_without_lock_alone(tmp_path: Path) -> None:
    recover(tmp_path)
    (tmp_path / "postmaster.pid").write_text("torn")
    recover(tmp_path)
    assert (tmp_path / "postmaster.pid").exists()


@pytest.mark.skipif(not privilege.is_root(), reason="only root has to drop root")
def test_below_a_closed_folder_the_data_lives_where_the_server_can_pass(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = privilege.home(closed / "var", "postgres")
    assert not home.is_relative_to(closed)
    assert privilege.home(closed / "var", "postgres") == home
    server = Postgres(closed / "var", durable=False)
    server.start()
    try:
        assert ask(server, "SELECT 1") == [(1,)]
    finally:
        server.stop()
        server.destroy()
    assert not home.exists()


@pytest.mark.skipif(not privilege.is_root(), reason="only root has to drop root")
def test_binaries_below_a_closed_folder_are_copied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privilege, "CACHE", Path("/tmp") / f"harbor-cache-{os.getpid()}")  # noqa: S108
    closed = tmp_path / "closed" / "install"
    (closed / "bin").mkdir(parents=True)
    closed.parent.chmod(0o700)
    program = closed / "bin" / "postgres"
    program.write_text("#!/bin/sh\necho 17\n")
    program.chmod(0o700)
    copy = privilege.runnable(closed, "bin/postgres", "17")
    made = copy.stat().st_ino
    assert copy != closed
    assert stat.S_IMODE((copy / "bin" / "postgres").stat().st_mode) == 0o755
    assert privilege.runnable(closed, "bin/postgres", "17").stat().st_ino == made
