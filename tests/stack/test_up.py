"""`manage.py up`, as a person at a terminal meets it."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.core.management import CommandError, call_command

from saas.embedded import commands, machine, state
from saas.embedded.machine import free_port
from saas.embedded.postgres import Postgres
from saas.embedded.processes import Child, read_identity, wait_until
from tests.bench.startup import environment

START_SECONDS = 300


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "var"
    yield folder
    Postgres(folder).destroy()


class Up:
    """One run of the command."""

    def __init__(self, folder: Path, port: int, *arguments: str) -> None:
        self.log = folder.parent / f"up-{len(list(folder.parent.glob('up-*')))}.log"
        argv = commands.manage("up", "--port", str(port), "--brands", "0", *arguments)
        self.child = Child("up", argv, log=self.log, env=environment(folder))
        self.child.start()

    @property
    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def wait(self) -> None:
        self.child.wait_ready(lambda: "Harbor runs at" in self.text, START_SECONDS)

    def end(self, sig: signal.Signals = signal.SIGINT) -> int | None:
        assert self.child.pid is not None
        os.kill(self.child.pid, sig)
        assert wait_until(lambda: not self.child.alive(), 150)
        return self.child.exit_code()


def refusal(folder: Path, *arguments: str) -> str:
    """What a start that must fail says; it may not take long over it."""
    done = subprocess.run(
        commands.manage("up", *arguments),
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_start_kill_start_again_and_stop(var: Path) -> None:
    port = free_port()
    first = Up(var, port)
    first.wait()
    url = f"http://127.0.0.1:{port}"
    assert httpx.get(f"{url}/health/ready").status_code == 200
    assert httpx.get(f"{url}/").status_code == 200
    assert "already runs" in refusal(var, "--port", str(free_port()))
    running = {path.stem: read_identity(path) for path in (var / "run").glob("*.json")}
    assert {"postgres", "valkey", "sandbox", "worker", "web", "beat"} <= running.keys()

    first.end(signal.SIGKILL)
    assert all(one and one.alive() for one in running.values())
    again = Up(var, port)
    again.wait()
    assert "An earlier run was killed" in again.text
    assert "prepare" not in again.text  # nothing is new, so nothing is done again
    assert not any(one and one.alive() for one in running.values())

    running = {path.stem: read_identity(path) for path in (var / "run").glob("*.json")}
    assert again.end() == 0
    stopped = re.findall(r"(\w+) +stopping", again.text)
    assert [n for n in stopped if n != "node"] == [
        *("beat", "web", "worker", "valkey", "postgres", "sandbox"),
    ]
    assert not any(one and one.alive() for one in running.values())
    assert again.text.rstrip().endswith("Stopped.")


def test_a_port_in_use_is_a_sentence(var: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        said = refusal(var, "--port", str(port))
    assert f"Port {port} is in use by another program" in said
    assert not (var / "postgres").exists()


@pytest.mark.parametrize("port", ["80", "99999", "web"])
def test_a_port_that_can_not_be_is_a_sentence(var: Path, port: str) -> None:
    done = subprocess.run(
        commands.manage("up", "--port", port),
        env=environment(var),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "choose a port from 1024 to 65000" in done.stderr


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("where", "name", "value", "sentence"),
    [
        (machine, "ROOM_NEEDED", 1 << 60, "MB left and Harbor needs .* Free some space"),
        (state, "write_env", full, "The disk is full. Free some space and start again"),
        (machine, "ZONES", Path("/nowhere"), "no time-zone database .* apt-get install tzdata"),
    ],
)
def test_what_the_machine_lacks_is_a_sentence(
    var: Path, monkeypatch: pytest.MonkeyPatch, where: object, name: str, value: object,
    sentence: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("HARBOR_VAR", str(var))
    monkeypatch.setattr(where, name, value)
    with pytest.raises(CommandError, match=sentence):
        call_command("up", port=free_port())
    assert not (var / "postgres").exists()


def test_without_time_zones_nothing_buries_the_sentence(var: Path) -> None:
    """Django's settings die over a missing time zone, so they may not be read on the way out."""
    code = (
        "import pathlib, sys\nfrom saas.embedded import machine\nimport manage\n"
        "machine.ZONES = pathlib.Path('/nowhere')\nsys.argv = ['manage.py', 'up']\n"
        "try: manage.main()\nfinally: assert 'saas.settings' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=commands.BASE,
        env=environment(var),
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.fullmatch(r"CommandError: This machine has no time-zone .*\n", done.stderr)


def test_a_failure_that_a_full_disk_explains_says_so(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL and others that meet a full disk say so in their logs, or not even there."""
    monkeypatch.setenv("HARBOR_VAR", str(var))
    monkeypatch.setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
    monkeypatch.setattr(machine, "FULL", 1 << 60)
    with pytest.raises(CommandError, match=r"can't be used(.|\n)*disk of .* is full. Free some"):
        call_command("up", port=free_port())


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgres://WHO@127.0.0.1:1/harbor"),
        ("REDIS_URL", "redis://WHO@127.0.0.1:1/0"),
        ("REDIS_URL", "what is this"),
    ],
)
def test_a_server_elsewhere_that_can_not_be_used_is_a_sentence(
    var: Path, monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv("HARBOR_VAR", str(var))
    monkeypatch.setenv("DATABASE_URL", os.environ["HARBOR_TEST_SUPERUSER_URL"])
    monkeypatch.setenv(name, url.replace("WHO", "harbor:secret-word"))
    with pytest.raises(CommandError, match=f"{name} names a server that can't be used") as refused:
        call_command("up", port=free_port())
    assert f"set {name} right, or unset it" in str(refused.value)
    assert "secret-word" not in str(refused.value)


def test_secrets_are_made_once_and_for_the_owner(var: Path) -> None:
    made = state.load_secrets(var)
    assert state.load_secrets(var) == made
    assert (var / "secrets.env").stat().st_mode & 0o777 == 0o600
    assert made["SECRET_KEY"] != state.generate_secrets()["SECRET_KEY"]


@pytest.mark.parametrize(("version", "code"), [("(3, 10)", 1), ("(3, 11)", 0)])
def test_make_names_a_python_that_is_too_old(tmp_path: Path, version: str, code: int) -> None:
    """A stand-in for python that only knows its version."""
    python = tmp_path / "python"
    python.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "if sys.argv[1] != '-c': sys.exit(0)\n"
        f"sys.version_info = {version}\nexec(sys.argv[2])\n"
    )
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "setup", f"PYTHON={python}"],
        cwd=commands.BASE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == bool(code)
    assert ("is older than Python 3.11" in done.stderr) == bool(code)
