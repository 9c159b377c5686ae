"""Times, amounts of time, numbers and browsers, as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils.formats import localize

from saas import wording
from saas.charts import grouped

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = 60, 3_600, 86_400


@pytest.mark.parametrize(
    ("seconds_away", "words"),
    [
        (0, "just now"),
        (-10, "in a moment"),
        (44, "just now"),
        (45, "1 min ago"),
        (12 * MINUTE, "12 min ago"),
        (59 * MINUTE + 29, "59 min ago"),
        (59 * MINUTE + 30, "1 h ago"),
        (-3 * HOUR, "in 3 h"),
        (DAY, "1 day ago"),
        (-14 * DAY, "in 14 days"),
        (30 * DAY, "23 Oct"),
        (400 * DAY, "18 Oct 2025"),
    ],
)
def test_a_moment_is_told_by_its_distance(seconds_away: int, words: str) -> None:
    assert wording.ago(NOW - timedelta(seconds=seconds_away), NOW) == words


def test_a_moment_without_a_format_of_its_own_reads_as_elsewhere() -> None:
    assert localize(NOW) == "22 Nov 2026, 12:00"
    assert localize(NOW.date()) == "22 Nov 2026"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (45, "45 s"),
        (125, "2 min 5 s"),
        (2 * HOUR, "2 h"),
        (2 * HOUR + 59, "2 h"),
        (3 * HOUR + 10 * MINUTE, "3 h 10 min"),
        (4 * DAY + 2 * HOUR + 30 * MINUTE, "4 d 2 h"),
    ],
)
def test_an_amount_of_time_has_two_units_at_most(seconds: float, words: str) -> None:
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (999, "999"),
        (1234567, "1\u202f234\u202f567"),
        (9.5, "9.5"),
        (-1200, "-1\u202f200"),
    ],
)
def test_numbers_are_grouped(value: float, words: str) -> None:
    assert grouped(value) == words


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1", "Safari on iPhone"),
        ("", "A browser"),
    ],
)  # fmt: skip
def test_a_browser_is_named_by_what_it_says(header: str, words: str) -> None:
    assert wording.browser(header) == words
