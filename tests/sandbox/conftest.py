"""A sandbox process for these tests alone: they move its clock and reset its state."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

_numbers = itertools.count()
BASE = Path(__file__).parents[2]


@dataclass
class Running:
    """A sandbox process, its ports, and a client that names itself as Harbor would."""

    process: subprocess.Popen[str]
    url: str
    smtp_port: int
    client: httpx.Client
    state: Path

    def get(self, path: str, key: str, **params: Any) -> httpx.Response:
        """A call of SmartLead's API."""
        return self.client.get(f"/smartlead/api/v1{path}", params={"api_key": key, **params})

    def post(self, path: str, key: str, body: object) -> httpx.Response:
        return self.client.post(f"/smartlead/api/v1{path}", params={"api_key": key}, json=body)

    def control(self, path: str, /, **values: Any) -> dict[str, Any]:
        """POSTs to SmartLead's controls; the answer must be a success."""
        answer = self.client.post(f"/smartlead/_control/{path}", json=values)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    def counters(self, key: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.client.get(
            "/smartlead/_control/counters", params={"key": key}
        ).json()
        return shown

    def campaign(self, key: str, number: int = 0) -> int:
        """The id of an account's campaign, without a call that counts."""
        shown = self.control("accounts", key=key)["accounts"]
        account = next(account for account in shown if account["key"] == key)
        return int(account["campaign_list"][number]["id"])

    def stop(self) -> int:
        """SIGTERM, and the exit code; fails when it takes longer than 20 seconds."""
        self.client.close()
        self.process.terminate()
        code = self.process.wait(20)
        if self.process.stdout:
            self.process.stdout.close()
        return code


def start(state: Path, *arguments: str) -> Running:
    """Starts a sandbox on free ports and waits until it answers."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--state", str(state), *arguments]
    process = subprocess.Popen(
        command,
        cwd=BASE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    deadline = time.monotonic() + 60
    while not (state / "ports.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"The sandbox did not start: {process.communicate()[0]}")
        time.sleep(0.02)
    ports = json.loads((state / "ports.json").read_text())
    client = httpx.Client(base_url=ports["url"], headers={"User-Agent": "Harbor/1"}, timeout=30)
    return Running(process, ports["url"], ports["smtp"], client, state)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    sandbox = start(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    assert sandbox.stop() == 0


@pytest.fixture
def start_sandbox(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts sandboxes of a test's own, all on the same state; stops what the test did not."""
    started: list[Running] = []

    def begin(*arguments: str) -> Running:
        sandbox = start(tmp_path / "state", *arguments)
        started.append(sandbox)
        return sandbox

    yield begin
    for sandbox in started:
        if sandbox.process.poll() is None:
            sandbox.stop()


@pytest.fixture
def new_key() -> Callable[..., str]:
    """Keys of accounts that no other test has touched."""

    def make(leads: int = 250, campaigns: int = 2, *options: str) -> str:
        seed = f"t{os.getpid()}-{next(_numbers)}"
        return "_".join(("sl", seed, str(leads), str(campaigns), *options))

    return make
