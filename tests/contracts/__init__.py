"""Stripe's contract, for tests: what may be sent and what may be answered.

`validate_request` and `validate_response` answer a list of what is wrong, empty when nothing is.
`violations` asks a running sandbox (started with --contract, see CONTRACT_FILE) what broke the
contract since it was last cleared; fixtures assert that it is empty when a test ends.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import httpx

from sandbox.stripe.contract import Contract

CONTRACT_FILE = Path(__file__).with_name("stripe.json.gz")


@cache
def contract() -> Contract:
    return Contract(CONTRACT_FILE)


def validate_request(method: str, path: str, params: dict[str, Any]) -> list[str]:
    """Checks decoded and typed parameters: {"limit": 3}, not {"limit": "3"}."""
    return contract().validate_request(method, path, params)


def validate_response(method: str, path: str, status: int, body: Any) -> list[str]:
    """Checks an answer: the operation's schema at 200, Stripe's error object otherwise."""
    return contract().validate_response(method, path, status, body)


def violations(sandbox_url: str) -> list[str]:
    """What the sandbox at `sandbox_url` (http://127.0.0.1:P) saw broken; clears the list."""
    control = f"{sandbox_url}/stripe/_control/violations"
    # There is no TLS on loopback, and reading the machine's certificates costs 50 ms a client.
    with httpx.Client(verify=False) as client:  # noqa: S501
        found: list[str] = client.get(control).json()
        client.delete(control)
    return found
