"""The process: it starts on any port, says what is wrong when it can't, and stops at once."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.sandbox.conftest import BASE, Running


def test_it_stops_soon_although_an_answer_is_due_and_has_written_no_key(
    start_sandbox: Callable[..., Running],
) -> None:
    sandbox = start_sandbox()
    key = "sl_secretive_10_1"
    sandbox.get("/campaigns/1/nothing", key)
    sandbox.control("faults", kind="slow", delay=60)
    waiting = threading.Thread(target=_ask_and_bear_it, args=(sandbox, key))
    waiting.start()
    deadline = time.monotonic() + 20
    while not sandbox.counters(key)["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.01)
    began = time.monotonic()
    sandbox.process.terminate()
    assert sandbox.process.wait(50) == 0
    assert time.monotonic() - began < 40  # 1.4 s on an idle machine
    waiting.join(20)
    assert sandbox.process.stdout is not None
    output = sandbox.process.stdout.read()
    assert "Sandbox at" in output
    assert "secretive" not in output
    assert not (sandbox.state / "ports.json").exists()


def _ask_and_bear_it(sandbox: Running, key: str) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(
            f"{sandbox.url}/smartlead/api/v1/campaigns?api_key={key}",
            headers={"User-Agent": "Harbor"},
            timeout=60,
        ).raise_for_status()


def test_ports_json_names_the_process_and_its_ports(running: Running) -> None:
    ports = json.loads((running.state / "ports.json").read_text())
    assert ports == {
        "pid": running.process.pid,
        "http": int(running.url.rpartition(":")[2]),
        "smtp": running.smtp_port,
        "url": running.url,
    }
    with socket.create_connection(("127.0.0.1", ports["smtp"])) as smtp:
        assert smtp.recv(100).startswith(b"220 ")


def test_a_port_in_use_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "sandbox", "--port", port, "--state", str(tmp_path)]
        ended = subprocess.run(
            command, cwd=BASE, capture_output=True, text=True, timeout=60, check=False
        )
    assert ended.returncode == 1
    assert "Choose another --port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_index_leads_to_every_stand_in(running: Running) -> None:
    page = running.client.get("/")
    links = re.findall(r'href="(/[^"]+)"', page.text)
    assert {link.split("/")[1] for link in links} >= {"mail", "smartlead", "stripe", "static"}
    for link in links:
        assert running.client.get(link).status_code == 200, link
    assert "<script" not in page.text
    assert "style=" not in page.text
