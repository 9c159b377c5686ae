"""Every example in the Stripe part of the sandbox's manual answers with success."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import sandbox.stripe
from sandbox.stripe import control
from tests.sandbox.stripe.box import Box

README = Path(sandbox.stripe.__file__).with_name("README.md").read_text()
EXAMPLES = [line for line in README.splitlines() if line.startswith("curl ")]


@pytest.mark.parametrize("line", EXAMPLES)
def test_example(box: Box, line: str) -> None:
    words = shlex.split(line)[1:]
    body: Any = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    [url] = [word for word in words if word.startswith("http")]
    box.control(method, url.partition("/stripe/_control")[2], body)


def test_every_control_is_in_the_manual() -> None:
    told = str(control.__doc__)
    paths = [line.split()[1] for line in told.splitlines() if line[:5].strip() in ("GET", "POST")]
    names = {path.strip("/").partition("[")[0].split("/")[0] for path in paths} - {""}
    assert len(names) > 8
    assert [name for name in names if f"/{name}" not in README] == []
