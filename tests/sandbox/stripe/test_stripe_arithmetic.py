"""Sums and dates: properties that hold for any amount, currency and day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.stripe import money
from sandbox.stripe.context import difference, public
from sandbox.stripe.params import decode
from sandbox.stripe.periods import boundary, period_end

moments = st.integers(1_600_000_000, 2_500_000_000)
intervals = st.sampled_from(["day", "week", "month", "year"])


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def text(value: int) -> str:
    return datetime.fromtimestamp(value, UTC).isoformat(timespec="minutes")[:16]


@pytest.mark.parametrize(
    ("anchor", "n", "expected"),
    [
        ("2028-01-31T09:30", 1, "2028-02-29T09:30"),
        ("2028-01-31T09:30", 2, "2028-03-31T09:30"),
        ("2028-01-31T09:30", 13, "2029-02-28T09:30"),
        ("2028-12-15T00:00", 1, "2029-01-15T00:00"),
        ("2028-03-31T23:59", -1, "2028-02-29T23:59"),
    ],
)
def test_months_from_the_anchor(anchor: str, n: int, expected: str) -> None:
    assert text(boundary(moment(anchor), "month", 1, n)) == expected


def test_a_leap_day_renews_on_the_28th_and_in_the_next_leap_year_on_the_29th() -> None:
    anchor = moment("2028-02-29T12:00")
    assert text(boundary(anchor, "year", 1, 1)) == "2029-02-28T12:00"
    assert text(boundary(anchor, "year", 1, 4)) == "2032-02-29T12:00"


@given(moments, intervals, st.integers(1, 12))
def test_periods_join_without_gap_or_overlap(anchor: int, interval: str, count: int) -> None:
    start = anchor
    for n in range(1, 6):
        end = period_end(anchor, interval, count, start)
        assert end == boundary(anchor, interval, count, n)
        assert end > start
        start = end


@given(moments, st.integers(0, 3000))
def test_any_moment_lies_in_the_period_that_ends_next(anchor: int, days: int) -> None:
    inside = anchor + int(timedelta(days=days).total_seconds())
    end = period_end(anchor, "month", 1, inside)
    assert end > inside
    assert end - inside <= 31 * 86_400


@given(st.integers(0, 10**9), st.integers(0, 10**7), st.integers(1, 10**7))
def test_what_is_used_and_what_is_left_make_the_whole(amount: int, used: int, total: int) -> None:
    used = min(used, total)
    left = money.share(amount, total - used, total)
    assert 0 <= left <= amount
    assert abs(left + money.share(amount, used, total) - amount) <= 1


@given(st.integers(-(10**12), 10**12))
def test_a_whole_amount_is_rounded_to_itself(amount: int) -> None:
    assert money.whole(Decimal(amount)) == amount


@pytest.mark.parametrize(
    ("exact", "rounded"), [("0.5", 1), ("1.5", 2), ("2.5", 3), ("-0.5", -1), ("0.49", 0)]
)
def test_a_half_goes_away_from_zero(exact: str, rounded: int) -> None:
    assert money.whole(Decimal(exact)) == rounded


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (123_450, "usd", "$1,234.50"),
        (7000, "jpy", "¥7,000"),
        (-500, "eur", "-€5.00"),
        (1234, "kwd", "KWD\N{NO-BREAK SPACE}1.234"),
    ],
)
def test_money_on_pages(amount: int, currency: str, expected: str) -> None:
    assert money.display(amount, currency) == expected


leaves = st.text(max_size=5)
names = st.sampled_from(["price", "items", "a_b", "_x", "limit"])
branches = st.dictionaries(names, leaves, min_size=1, max_size=3)
trees = st.dictionaries(names, leaves | branches, max_size=4)


@given(trees)
def test_the_form_encoding_is_undone(tree: dict[str, object]) -> None:
    assert decode(flat(tree)) == tree


def flat(tree: object, prefix: str = "") -> list[tuple[str, str]]:
    if not isinstance(tree, dict):
        return [(prefix, str(tree))]
    return [
        pair
        for key, value in tree.items()
        for pair in flat(value, f"{prefix}[{key}]" if prefix else key)
    ]


@given(trees, trees)
def test_previous_attributes_turn_the_new_back_into_the_old(
    old: dict[str, object], new: dict[str, object]
) -> None:
    assert (difference(old, new) == {}) == (old == new)
    assert set(difference(old, new)) <= set(old) | set(new)


def test_what_is_the_sandboxes_own_never_leaves_it() -> None:
    inner = {"_number": "4242", "card": {"_x": 1, "last4": "4242"}, "rows": [{"_y": 2, "z": 3}]}
    assert public(inner) == {"card": {"last4": "4242"}, "rows": [{"z": 3}]}
