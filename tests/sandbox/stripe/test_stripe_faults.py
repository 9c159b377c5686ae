"""Faults on demand, and a process that is killed: what was answered stays, nothing else does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import stripe

from tests.contracts import CONTRACT_FILE
from tests.sandbox.stripe.box import Box


def names(box: Box) -> list[str | None]:
    return [customer.name for customer in box.v1.customers.list({"limit": 100}).data][::-1]


@pytest.mark.parametrize(("when", "effect"), [("before", []), ("after", ["Ada"])])
@pytest.mark.parametrize("kind", ["drop", "timeout"])
def test_a_cut_connection_before_or_after_the_effect(
    box: Box, kind: str, when: str, effect: list[str]
) -> None:
    fault = {"kind": kind, "when": when, "seconds": 0.05, "times": 1, "match": "POST /v1/cust*"}
    box.control("POST", "/faults", fault)
    with pytest.raises(stripe.APIConnectionError):
        box.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    assert names(box) == effect
    box.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    assert names(box) == ["Ada"]


def test_the_sdk_retries_over_a_cut_connection_with_one_effect(box: Box) -> None:
    box.control("POST", "/faults", {"kind": "drop", "when": "after", "times": 1})
    client = stripe.StripeClient(
        box.client._requestor.api_key or "",
        base_addresses={"api": f"{box.url}/stripe"},
        max_network_retries=2,
    )
    assert client.v1.customers.create({"name": "Ada"}).name == "Ada"
    assert names(box) == ["Ada"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, stripe.RateLimitError),
        (500, stripe.APIError),
        (503, stripe.APIError),
        (401, stripe.AuthenticationError),
    ],
)
def test_an_error_answer_becomes_the_sdks_error(
    box: Box, status: int, error: type[stripe.StripeError]
) -> None:
    box.control("POST", "/faults", {"kind": "status", "status": status, "times": 1})
    with pytest.raises(error):
        box.v1.customers.create({})
    assert names(box) == []


def test_a_late_answer_is_still_right(box: Box) -> None:
    box.control("POST", "/faults", {"kind": "latency", "seconds": 0.3, "times": 1})
    started = time.monotonic()
    box.v1.customers.create({"name": "Ada"})
    assert time.monotonic() - started >= 0.3
    assert names(box) == ["Ada"]


def test_a_fault_hits_what_it_names_as_often_as_it_says(box: Box) -> None:
    box.control("POST", "/faults", {"kind": "status", "match": "POST /v1/products", "times": 2})
    box.v1.customers.create({"name": "Ada"})
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            box.v1.products.create({"name": "Leads"})
    box.v1.products.create({"name": "Leads"})
    assert box.control("GET", "/faults") == []


def test_a_fault_that_does_not_exist_is_refused(box: Box) -> None:
    answer = box.http.post(f"{box.url}/stripe/_control/faults", json={"kind": "gremlins"})
    assert answer.status_code == 400
    assert answer.json() == {"error": "kind must be one of status, drop, timeout, latency"}


def test_the_control_counts_requests_and_objects(box: Box) -> None:
    box.v1.customers.create({})
    box.v1.customers.create({})
    state = box.control("GET", "/")
    assert state["requests"]["POST /v1/customers"] == 2
    assert state["objects"]["customer"] == 2


def start(state: Path) -> tuple[subprocess.Popen[bytes], Box]:
    """The whole sandbox as the product runs it."""
    ports = state / "ports.json"
    ports.unlink(missing_ok=True)
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--state", str(state)]
    process = subprocess.Popen(
        [*command, "--app-url", "http://127.0.0.1:9", "--contract", str(CONTRACT_FILE)],
        cwd=CONTRACT_FILE.parents[2],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    while not ports.exists():
        assert process.poll() is None
        time.sleep(0.05)
    return process, Box(f"http://127.0.0.1:{json.loads(ports.read_text())['http']}")


@pytest.mark.chaos
@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    process, box = start(tmp_path)
    try:
        subscription = box.subscribe()
        box.wait(40 * 86_400)
        before = box.raw("GET", f"/v1/subscriptions/{subscription.id}").json()
        made = box.raw("POST", "/v1/customers", headers={"Idempotency-Key": "k1"})
        process.send_signal(signal.SIGKILL)
        process.wait()

        process, box = start(tmp_path)
        after = box.raw("GET", f"/v1/subscriptions/{subscription.id}").json()
        assert after == before
        again = box.raw("POST", "/v1/customers", headers={"Idempotency-Key": "k1"})
        assert again.json() == made.json()
        assert abs(box.now - time.time() - 40 * 86_400) < 60
        assert box.control("GET", "/violations") == []
    finally:
        process.kill()
        process.wait()


@pytest.mark.chaos
@pytest.mark.slow
def test_a_kill_in_the_middle_keeps_all_or_nothing_of_a_request(tmp_path: Path) -> None:
    process, box = start(tmp_path)
    try:
        for round_ in range(3):
            for number in range(6):
                if number == 4:
                    os.kill(process.pid, signal.SIGKILL)
                try:
                    box.raw("POST", "/v1/customers", data={"name": f"{round_}-{number}"})
                except httpx.HTTPError:
                    break
            process.wait()
            process, box = start(tmp_path)
            created = [e["data"]["object"]["name"] for e in box.events("customer.created")]
            assert created == names(box)
            assert names(box)[-4:] == [f"{round_}-{number}" for number in range(4)]
    finally:
        process.kill()
        process.wait()
