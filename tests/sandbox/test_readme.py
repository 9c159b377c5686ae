"""Every example in the sandbox's README runs as it stands."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sandbox.conftest import BASE, Running

README = BASE / "sandbox" / "README.md"


def commands() -> list[str]:
    return [line for line in README.read_text().splitlines() if line.startswith("curl ")]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_example_answers_with_json(running: Running, tmp_path: Path) -> None:
    script = tmp_path / "examples.sh"
    told = [line.replace("http://127.0.0.1:8100", running.url) + " -f; echo" for line in commands()]
    script.write_text("set -e\n" + "\n".join(told))
    ran = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr + ran.stdout[-300:]
    answers = [json.loads(line) for line in ran.stdout.splitlines() if line.strip()]
    assert len(answers) >= len(commands())


def test_every_control_of_smartlead_and_mail_has_an_example() -> None:
    text = README.read_text()
    controls = (
        "accounts",
        "counters",
        "faults",
        "touch",
        "webhooks",
        "deliveries",
        "clock",
        "reset",
    )
    missing = [name for name in controls if f"/smartlead/_control/{name}" not in text]
    assert missing == []
    assert "/mail/_control/messages" in text
    assert "/mail/_control/reset" in text
