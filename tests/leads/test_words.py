"""What a backfill does, in words: every state and every wait has a sentence and a way on."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leads import words
from leads.models import Backfill, Connection

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
State, Wait = Backfill.State, Backfill.Wait


def run(state: str, **fields: Any) -> Backfill:
    return Backfill(connection=Connection(calls_per_minute=50), state=state, **fields)


@pytest.mark.parametrize("state", State.values)
def test_every_state_has_a_tone_and_a_sentence(state: str) -> None:
    now = words.now_line(run(state), NOW)
    assert now.text.endswith(".")
    assert State(state) in words.TONES


@pytest.mark.parametrize("wait", Wait.values)
def test_every_wait_has_a_sentence_of_its_own(wait: str) -> None:
    assert Wait(wait) in words.WAITS
    now = words.now_line(run(State.PARKED, wait=wait, due_at=NOW + timedelta(seconds=30)), NOW)
    assert now.text.endswith(".")
    assert not set(now.text) & set("{}!")
    assert set(string.Formatter().parse(now.text)) == {(now.text, None, None, None)}


@pytest.mark.parametrize(
    ("wait", "text", "tone"),
    [
        (Wait.WINDOW, "Your limit of 50 calls a minute is used up. It goes on in 30 s.", "blue"),
        (Wait.VENDOR, "SmartLead asked us to slow down. It goes on by itself in 30 s.", "amber"),
    ],
)
def test_a_wait_says_when_it_ends(wait: str, text: str, tone: str) -> None:
    row = run(State.RUNNING, wait=wait, due_at=NOW + timedelta(seconds=30))
    assert words.now_line(row, NOW) == words.Now(text, tone)


@pytest.mark.parametrize(
    ("due", "when"),
    [
        (None, "in a moment"),
        (NOW - timedelta(seconds=5), "in a moment"),
        (NOW + timedelta(milliseconds=10), "in 1 s"),
        (NOW + timedelta(seconds=89), "in 89 s"),
        (NOW + timedelta(minutes=5), "at 12:05"),
    ],
)
def test_when_is_near_or_a_time_of_day(due: datetime | None, when: str) -> None:
    row = run(State.RUNNING, wait=Wait.IN_FLIGHT, due_at=due)
    assert words.now_line(row, NOW).text == f"Waiting for a free slot. It goes on {when}."


def test_only_a_larger_plan_or_a_new_key_ask_for_something() -> None:
    asks = {w: words.now_line(run(State.PARKED, wait=w), NOW) for w in Wait.values}
    assert {w for w, now in asks.items() if now.upgrade} == set(Backfill.ENTITLEMENT_WAITS)
    assert {w for w, now in asks.items() if now.reconnect} == {Wait.BAD_KEY}


def test_a_phase_is_named() -> None:
    assert "leads, 100 at a time" in words.now_line(run(State.RUNNING), NOW).text
    history = run(State.RUNNING, phase=Backfill.Phase.HISTORY)
    assert "their messages, replies first" in words.now_line(history, NOW).text


def test_codes_that_nobody_told_us_are_shown_as_they_came() -> None:
    assert words.status("BLOCKED") == ("Blocked", "red")
    assert words.status("SNOOZED") == ("Snoozed", "grey")
    assert words.status("") == ("No status", "grey")
    assert words.category(1, {1: "Interested"}) == "Interested"
    assert words.category(77, {}) == "Category 77"


def test_a_brand_s_own_categories_come_before_smartlead_s(scoped: Any) -> None:
    from leads.models import Category

    Category.objects.create(remote_id=1, name="Hot")
    Category.objects.create(remote_id=4_000_001, name="Partner")
    names = words.categories()
    assert (names[1], names[4_000_001], names[2]) == ("Hot", "Partner", "Meeting Request")


@pytest.mark.parametrize("state", State.values)
@pytest.mark.parametrize("phase", Backfill.Phase.values)
def test_a_sync_has_sentences_of_its_own(state: str, phase: str) -> None:
    now = words.now_line(run(state, kind="sync", phase=phase), NOW)
    assert now.text.endswith(".")
    assert "backfill" not in now.text.lower()


@pytest.mark.parametrize(
    ("fields", "live", "said"),
    [
        ({}, None, "After your first backfill we fetch what is new by ourselves."),
        ({"synced_at": NOW, "sync_every": 0}, None, "Regular updates are off. Live updates"),
        ({"synced_at": NOW, "sync_every": 60}, None, "every hour"),
        ({"synced_at": NOW, "sync_every": 60}, None, "The next update starts at 13:00."),
        ({"synced_at": NOW, "sync_every": 7}, None, "every 7 minutes"),
        ({"synced_at": NOW, "sync_every": 60}, {"kind": "sync"}, "An update is under way."),
        ({"synced_at": NOW, "sync_every": 60}, {"kind": "full"}, "waits until your backfill"),
    ],
)
def test_how_what_is_new_comes_in(fields: Any, live: Any, said: str) -> None:
    due = NOW + timedelta(hours=1)
    connection = Connection(sync_due_at=due, **fields)
    running = run(State.RUNNING, **live) if live else None
    assert said in words.updates_line(connection, running, NOW)
