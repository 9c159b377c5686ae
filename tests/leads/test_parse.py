"""SmartLead's answers: what is good comes through typed, the rest is named, nothing raises else."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from leads.ingest import fields
from leads.smartlead import client, parse
from leads.smartlead.errors import BadKey, Empty, Faulty, Missing, Pushback, Unwanted
from saas.http import Answer


def row(**lead: Any) -> dict[str, Any]:
    return {
        "campaign_lead_map_id": 2433664091,
        "lead_category_id": None,
        "status": "INPROGRESS",
        "created_at": "2025-03-13T07:44:12.978Z",
        "lead": {"id": 2995276770, "email": "Ada@Engine.Example", "first_name": "Ada"} | lead,
    }


def page(*rows: Any, total: Any = "1") -> Any:
    return parse.lead_page({"total_leads": total, "data": list(rows)})


def test_a_row_of_a_page() -> None:
    parsed = page(row(last_name=None, custom_fields={"title": "CEO"}), total="42")
    [lead] = parsed.rows
    assert (lead.email, lead.first_name, lead.last_name) == ("ada@engine.example", "Ada", "")
    assert (lead.remote_lead_id, lead.map_id, parsed.total) == (2995276770, 2433664091, 42)
    assert json.loads(lead.custom) == {"title": "CEO"}
    assert lead.joined_at == datetime(2025, 3, 13, 7, 44, 12, 978000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (None, "wrong_type"),
        ([], "wrong_type"),
        ({"lead": None}, "no_lead"),
        (row(email=None), "no_email"),
        (row(email=""), "no_email"),
        (row(email="ada at engine"), "bad_email"),
        (row(email="a@b"), "bad_email"),
        (row(email="x" * 250 + "@engine.example"), "bad_email"),
        (row(email=7), "wrong_type"),
        (row(first_name="A\x00da"), "nul"),
        (row(first_name=42), "wrong_type"),
        (row(company_name="x" * 1_000_000), "too_large"),
        (row(custom_fields={"a": "x" * 100_000}), "too_large"),
        (row(custom_fields={"a": ["\x00"]}), "nul"),
        (row(custom_fields={"a": float("nan")}), "bad_number"),
        (row(custom_fields="none"), "wrong_type"),
        (row(first_name="\ud800"), "bad_text"),
        (row(id="x"), "wrong_type"),
        (row(id=2**63), "wrong_type"),
        (row(id=True), "wrong_type"),
    ],
)
def test_a_bad_row_is_named_and_spares_the_others(bad: Any, reason: str) -> None:
    parsed = page(row(), bad)
    assert len(parsed.rows) == 1
    assert [b.reason for b in parsed.bad] == [reason]
    assert len(parsed.bad[0].raw) <= 2000


@pytest.mark.parametrize(("said", "total"), [("42", 42), (7, 7), ("many", None), (None, None)])
def test_total_leads_is_a_string_in_life(said: Any, total: int | None) -> None:
    assert page(total=said).total == total


@pytest.mark.parametrize("body", [[], {}, "x", None, 3, {"data": None}, {"data": {}}])
def test_a_page_of_another_shape_is_a_fault(body: Any) -> None:
    with pytest.raises(Faulty):
        parse.lead_page(body)
    with pytest.raises(Faulty):
        parse.history(body)


def entry(**fields: Any) -> dict[str, Any]:
    base = {"type": "SENT", "message_id": "<1@x>", "time": "2025-01-01T00:00:00Z"}
    return base | {"email_body": "<p>Hi</p>", "email_seq_number": "1", "open_count": 2} | fields


def history(*entries: Any) -> parse.History:
    return parse.history({"history": list(entries), "from": "us@x.example", "to": "ada@y.example"})


def test_a_thread() -> None:
    sent, reply = history(entry(), entry(type="REPLY", message_id="<2@x>")).messages
    assert (sent.direction, sent.sender, sent.recipient) == (
        "sent",
        "us@x.example",
        "ada@y.example",
    )
    assert (sent.step, sent.opens, sent.key) == (1, 2, "sent:<1@x>")
    assert (reply.direction, reply.sender) == ("reply", "ada@y.example")


def test_messages_without_an_id_are_still_told_apart() -> None:
    found = history(
        entry(message_id=None, stats_id="s"),
        entry(message_id=None, stats_id="s", time="2025-01-02T00:00:00Z"),
        entry(message_id=None),
        entry(message_id="m" * 500),
    )
    assert len({message.key for message in found.messages}) == 4
    assert all(len(message.key) < 320 for message in found.messages)


def test_bad_messages_are_named() -> None:
    found = history(entry(type="FORWARD"), entry(time=None), entry(email_body="\x00"), None)
    assert [b.reason for b in found.bad] == ["unknown_type", "bad_time", "nul", "wrong_type"]


def test_a_campaign_survives_its_name() -> None:
    [info] = parse.campaigns([{"id": 3, "name": "A\x00\ud800B", "status": None}, {"name": "x"}])
    assert (info.remote_id, info.name, info.status) == (3, "AB", "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
NAMES = ("id", "email", "first_name", "custom_fields", "phone_number", "is_unsubscribed")
FIELDS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON))
AROUND = dict.fromkeys(("status", "created_at", "lead_category_id"), JSON)


@given(st.fixed_dictionaries({"lead": FIELDS | JSON}, optional=AROUND))
def test_no_row_ever_raises(raw: Any) -> None:
    parsed = page(raw)
    assert len(parsed.rows) + len(parsed.bad) == 1


@given(JSON)
def test_no_message_ever_raises(raw: Any) -> None:
    found = history(raw)
    assert len(found.messages) + len(found.bad) == 1


def answer(status: int, body: bytes, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, httpx.Headers(named), body, 0.1)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"{}", BadKey),
        (403, b'{"message": "Invalid API Key"}', BadKey),
        (403, b"<html>", Faulty),
        (404, b'{"error": "Campaign not found"}', Missing),
        (404, b"<html>", Faulty),
        (400, b'{"error": "Bad Request"}', Unwanted),
        (429, b"{}", Pushback),
        (500, b'{"error": "x"}', Faulty),
        (524, b"<html>", Faulty),
        (302, b"", Faulty),
        (200, b"<html>", Faulty),
        (200, b'{"a": 1', Faulty),
        (200, b"[" * 100_000, Faulty),
        (200, b"\xff\xfe", Faulty),
        (200, b"", Empty),
        (200, b" \n", Empty),
        (200, b"{}", Empty),
    ],
)
def test_answers_become_errors(status: int, body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        client.decode(answer(status, body))


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry_After": "7"}, b"{}", 7.0),
        ({}, b'{"error": {"retry_after": 12}}', 12.0),
        ({"Retry_After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"{}", 30.0),
        ({"Retry_After": "99999"}, b"{}", 300.0),
        ({"Retry_After": "-1"}, b"{}", 30.0),
        ({"Retry_After": "nan"}, b"{}", 30.0),
    ],
)
def test_the_wait_that_is_asked_for(headers: Any, body: bytes, seconds: float) -> None:
    with pytest.raises(Pushback) as raised:
        client.decode(answer(429, body, **headers))
    assert raised.value.after == seconds


@given(st.binary(max_size=200), st.sampled_from([200, 400, 401, 403, 404, 429, 500, 524]))
def test_no_answer_raises_anything_else(body: bytes, status: int) -> None:
    with suppress(BadKey, Missing, Unwanted, Pushback, Faulty):
        client.decode(answer(status, body))


@pytest.mark.parametrize("joined", ["yesterday", 0, "0001-01-01T00:00:00+14:00", None])
def test_a_date_that_cannot_be_read_costs_no_lead(joined: Any) -> None:
    found = page(row() | {"created_at": joined})
    assert [(r.email, r.joined_at) for r in found.rows] == [("ada@engine.example", fields.NO_DATE)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"t": "caf\\u00e9"}', {"t": "caf\u00e9"}),
        ('{"n": 1e200000}', {}),
        ('{"n": 1e20}', {"n": 1e20}),
        ('{"a": {"b": -1e99999}}', {}),
    ],
)
def test_own_fields_of_an_export_are_what_postgresql_can_hold(
    text: str, kept: dict[str, Any], db: None
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb::text", [fields.custom_text(text)])
        assert json.loads(cursor.fetchone()[0]) == kept


@pytest.mark.parametrize("text", ['{"t": "Jo \\ud83d"}', '{"\\udc00": 1}', '{"t": "\\u0000"}'])
def test_half_a_character_in_an_own_field_rejects_its_row_alone(text: str) -> None:
    with pytest.raises(fields.Unfit):
        fields.custom_text(text)
