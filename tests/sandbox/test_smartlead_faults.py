"""Every fault that SmartLead is known for happens when it is asked for, and only then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import Running

Ask = Callable[[], httpx.Response]


@pytest.fixture
def key(running: Running, new_key: Callable[..., str]) -> Iterator[str]:
    yield new_key(250, 1, "r0")
    running.client.delete("/smartlead/_control/faults")


@pytest.fixture
def ask(running: Running, key: str) -> Ask:
    path = f"/campaigns/{running.campaign(key)}/leads"
    return lambda: running.get(path, key, limit=5)


def strike(running: Running, key: str, kind: str, **more: Any) -> None:
    running.control("faults", key=key, kind=kind, **{"count": 1, **more})


def test_a_long_429(running: Running, key: str, ask: Ask) -> None:
    strike(running, key, "429", retry_after=480)
    answer = ask()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "480")
    assert answer.json()["error"]["retry_after"] == 480
    assert ask().status_code == 200


def test_a_500(running: Running, key: str, ask: Ask) -> None:
    strike(running, key, "500")
    assert (ask().status_code, ask().status_code) == (500, 200)


def test_a_524_page_after_a_while(running: Running, key: str, ask: Ask) -> None:
    strike(running, key, "524", delay=0.3)
    began = time.monotonic()
    answer = ask()
    assert time.monotonic() - began >= 0.3
    assert answer.status_code == 524
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(("kind", "body"), [("empty", b""), ("braces", b"{}")])
def test_a_200_without_content(
    running: Running, key: str, ask: Ask, kind: str, body: bytes
) -> None:
    strike(running, key, kind)
    answer = ask()
    assert (answer.status_code, answer.content) == (200, body)


def test_html_with_a_200(running: Running, key: str, ask: Ask) -> None:
    strike(running, key, "html")
    answer = ask()
    assert answer.status_code == 200
    assert answer.text.startswith("<!DOCTYPE html>")


def test_json_that_breaks_off(running: Running, key: str, ask: Ask) -> None:
    strike(running, key, "truncated")
    answer = ask()
    assert answer.status_code == 200
    with pytest.raises(ValueError):  # no JSON, or no UTF-8 where a letter is cut
        answer.json()


def test_a_torn_connection(running: Running, key: str, ask: Ask) -> None:
    strike(running, key, "reset")
    with pytest.raises(httpx.TransportError):
        ask()
    assert ask().status_code == 200
    assert running.counters(key)["in_flight"] == 0


def test_a_slow_answer(running: Running, key: str, ask: Ask) -> None:
    strike(running, key, "slow", delay=0.3)
    began = time.monotonic()
    assert ask().status_code == 200
    assert time.monotonic() - began >= 0.3


def test_leads_that_stand_twice_in_a_page(running: Running, key: str, ask: Ask) -> None:
    strike(running, key, "duplicate", rows=2)
    ids = [row["lead"]["id"] for row in ask().json()["data"]]
    assert len(ids) == 7
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert len(set(ids)) == 5


@pytest.mark.parametrize(
    ("flaw", "is_there"),
    [
        ("no_email", lambda row: row["lead"]["email"] is None),
        ("bad_email", lambda row: "@" not in row["lead"]["email"]),
        ("nul", lambda row: "\x00" in row["lead"]["first_name"]),
        ("huge", lambda row: len(row["lead"]["company_name"]) == 1_000_000),
        ("types", lambda row: isinstance(row["lead"]["id"], str)),
        ("no_lead", lambda row: row["lead"] is None),
        ("null_row", lambda row: row is None),
    ],
)
def test_rows_as_they_should_not_be(
    running: Running, key: str, ask: Ask, flaw: str, is_there: Callable[[Any], bool]
) -> None:
    sound = ask().json()["data"]
    strike(running, key, "malformed", flaw=flaw, rows=2)
    rows = ask().json()["data"]
    assert [is_there(row) for row in rows[:2]] == [True, True]
    assert rows[2:] == sound[2:]


def test_a_campaign_that_is_gone_for_a_while(running: Running, key: str, ask: Ask) -> None:
    strike(running, key, "not_found")
    assert (ask().status_code, ask().status_code) == (404, 200)


def test_rows_of_some_accounts_stay_malformed(
    running: Running, new_key: Callable[..., str]
) -> None:
    key = new_key(1000, 1, "bad", "r0")
    path = f"/campaigns/{running.campaign(key)}/leads"
    rows = [
        r for at in range(0, 1000, 100) for r in running.get(path, key, offset=at).json()["data"]
    ]
    bad = [row for row in rows if not _sound(row)]
    assert len(rows) == 1000
    assert len(bad) == 2


def _sound(row: dict[str, Any]) -> bool:
    lead = row["lead"]
    texts = isinstance(lead["first_name"], str) and "\x00" not in lead["first_name"]
    return texts and isinstance(lead["id"], int) and "@" in (lead["email"] or "")


def test_a_fault_strikes_only_its_path_after_its_turn_and_as_often_as_said(
    running: Running, key: str, ask: Ask
) -> None:
    strike(running, key, "500", path=r"/leads$", skip=1, count=2)
    assert running.get("/campaigns", key).status_code == 200
    assert [ask().status_code for _ in range(5)] == [200, 500, 500, 200, 200]
    assert running.counters(key)["faults"] == {"500": 2}


def test_a_probability_falls_the_same_way_with_the_same_seed(
    running: Running, key: str, ask: Ask
) -> None:
    def outcomes(seed: int) -> list[int]:
        running.client.delete("/smartlead/_control/faults")
        running.control("faults", key=key, kind="500", probability=0.3, seed=seed)
        return [ask().status_code for _ in range(40)]

    first = outcomes(7)
    assert outcomes(7) == first
    assert outcomes(8) != first
    assert 3 <= first.count(500) <= 22


@pytest.mark.parametrize(
    "values",
    [{"kind": "418"}, {"kind": "500", "path": "("}, {"kind": "500", "count": "two"},
     {"kind": "500", "probability": 2}, {"kind": "500", "pth": "x"},
     {"kind": "malformed", "flaw": "ugly"}],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused(running: Running, values: dict[str, Any]) -> None:
    answer = running.client.post("/smartlead/_control/faults", json=values)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith((".", "position 0"))
    assert running.client.get("/smartlead/_control/faults").json() == {"faults": []}
