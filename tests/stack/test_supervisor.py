"""The supervisor: order, patience at the stop, revival, and cleaning up after a killed one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from saas.embedded.processes import Identity, read_identity, wait_until, write_identity
from saas.embedded.supervisor import Program, Supervisor, end_orphans
from saas.embedded.valkey import Valkey
from saas.errors import Misconfigured

# Says in a file that it runs, and on SIGTERM says so and leaves after a while.
NOTED = """
import pathlib, signal, sys, time
name, journal, linger = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
def note(what):
    with journal.open("a") as out:
        out.write(f"{what} {name}\\n")
def leave(*_):
    time.sleep(linger)
    note("stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGINT, signal.SIG_IGN)
note("started")
while True:
    time.sleep(0.05)
"""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def noted(
    name: str, folder: Path, journal: Path, *, linger: float = 0, patience: float = 30
) -> Program:
    return Program(
        name,
        [sys.executable, "-c", NOTED, name, str(journal), str(linger)],
        folder=folder,
        env=dict(os.environ),
        ready=lambda: journal.exists() and f"started {name}" in journal.read_text(),
        stop_timeout=patience,
    )


def lines(journal: Path) -> list[str]:
    return journal.read_text().splitlines()


def test_services_stop_in_reverse_and_each_is_waited_for(
    folder: Path, journal: Path, said: list[str]
) -> None:
    """The last one lingers; the others must not be told before it has gone."""
    with Supervisor(said.append) as supervisor:
        supervisor.start(noted("one", folder, journal), noted("two", folder, journal))
        supervisor.start(noted("three", folder, journal, linger=0.5))
    assert lines(journal) == [
        *("started one", "started two", "started three"),
        *("stopped three", "stopped two", "stopped one"),
    ]
    assert list((folder / "run").iterdir()) == []


def test_ctrl_c_reaches_the_supervisor_alone(folder: Path, journal: Path, said: list[str]) -> None:
    with Supervisor(said.append) as supervisor:
        program = noted("one", folder, journal)
        supervisor.start(program)
        assert program.pid is not None
        assert os.getsid(program.pid) == program.pid
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        supervisor.watch()
    assert lines(journal) == ["started one", "stopped one"]


def test_a_second_ctrl_c_does_not_wait(folder: Path, journal: Path, said: list[str]) -> None:
    began = time.monotonic()
    with Supervisor(said.append) as supervisor:
        supervisor.start(noted("one", folder, journal, linger=60, patience=60))

        def ask_twice() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            supervisor.stopping.wait()
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=ask_twice).start()
        supervisor.watch()
    assert time.monotonic() - began < 50
    assert lines(journal) == ["started one"]


def test_a_service_that_dies_is_started_again(folder: Path, journal: Path, said: list[str]) -> None:
    with Supervisor(said.append) as supervisor:
        program = noted("one", folder, journal)
        supervisor.start(program)
        first = program.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)

        def stop_when_back() -> None:
            wait_until(lambda: journal.read_text().count("started") == 2, 60)
            supervisor.stopping.set()

        threading.Thread(target=stop_when_back).start()
        supervisor.watch()
        assert program.pid != first
    assert lines(journal) == ["started one", "started one", "stopped one"]
    assert any("killed by signal 9; starting it again" in line for line in said)


def test_a_service_that_keeps_dying_stops_everything_in_a_sentence(
    folder: Path, journal: Path, said: list[str]
) -> None:
    dying = Program(
        "dying",
        [sys.executable, "-c", "print('no such table'); raise SystemExit(3)"],
        folder=folder,
        env=dict(os.environ),
        ready=lambda: False,  # so it dies while starting, always
    )
    with Supervisor(said.append) as supervisor:
        supervisor.start(noted("one", folder, journal))
        supervisor.launch(dying)
        with pytest.raises(Misconfigured, match=r"third time within a minute(.|\n)*no such table"):
            supervisor.watch()
    assert lines(journal) == ["started one", "stopped one"]


def test_a_service_that_can_not_start_shows_the_end_of_its_log(
    folder: Path, said: list[str]
) -> None:
    program = Program(
        "broken", [sys.executable, "-c", "1/0"], folder=folder, env={}, ready=lambda: False
    )
    with (
        pytest.raises(Misconfigured, match=r"ended while starting(.|\n)*ZeroDivisionError"),
        Supervisor(said.append) as supervisor,
    ):
        supervisor.start(program)


@pytest.fixture
def valkey(folder: Path) -> Iterator[Valkey]:
    server = Valkey(folder, durable=False)
    yield server
    server.stop()


@pytest.mark.chaos
def test_a_task_in_flight_is_finished_before_anything_stops(
    folder: Path, tmp_path: Path, valkey: Valkey, said: list[str]
) -> None:
    """What a stop by process group loses: SIGTERM would reach the prefork children too."""
    with Supervisor(said.append) as supervisor:
        supervisor.start(valkey)
        env = {**os.environ, "REDIS_URL": valkey.url()}
        env.pop("DJANGO_SETTINGS_MODULE", None)  # this application has no Django in it
        command = [*(sys.executable, "-m", "celery", "-A", "tests.stack.slow_tasks", "worker")]
        worker = Program("worker", [*command, "-c", "1"], folder=folder, env=env, stop_timeout=30)
        supervisor.start(worker)
        with Celery(broker=valkey.url()) as app:
            app.send_task("slow", args=[str(tmp_path), 3.0])
        assert wait_until((tmp_path / "begun").exists, 60)
        assert not (tmp_path / "finished").exists()
    assert (tmp_path / "finished").exists()
    assert not any("killed" in line for line in said)


def test_what_a_killed_supervisor_left_behind_is_ended(folder: Path, said: list[str]) -> None:
    orphan = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = Identity.of(orphan.pid)
    assert identity is not None
    write_identity(folder / "web.json", identity)
    threading.Thread(target=orphan.wait).start()
    end_orphans(folder, said.append)
    assert not identity.alive()
    assert list(folder.iterdir()) == []


def test_a_pid_that_now_belongs_to_somebody_else_is_left_alone(
    folder: Path, said: list[str]
) -> None:
    stranger = Identity(os.getpid(), "some other boot/123")
    write_identity(folder / "web.json", stranger)
    (folder / "torn.json").write_text('{"pid": 1')
    end_orphans(folder, said.append)
    assert said == []
    assert list(folder.iterdir()) == []
    assert read_identity(folder / "web.json") is None
