"""Charts: where things stand, and what is said to those who don't see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from saas import charts

NOON = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)


def minutes(*values: float) -> list[charts.Point]:
    return [(NOON + timedelta(minutes=i), value) for i, value in enumerate(values)]


def test_a_line_stretches_from_edge_to_edge_of_its_square() -> None:
    chart = charts.line(minutes(0, 400, 200), label="Leads", unit="a minute")

    assert chart is not None
    assert chart.line == "M0 100L50 0L100 50"
    assert chart.area == "M0 100L50 0L100 50L100 100L0 100Z"
    assert chart.dot == "M100 50h0"
    assert [(row.at, row.label) for row in chart.rows] == [
        ("100", "0"), ("75", "100"), ("50", "200"), ("25", "300"), ("0", "400"),
    ]  # fmt: skip


def test_a_line_says_its_figures_in_words() -> None:
    chart = charts.line(minutes(80, 1200, 112), label="Leads per minute", unit="leads")

    assert chart is not None
    assert chart.summary == (
        "Leads per minute, 12:00:00 to 12:02:00: lowest 80 leads, highest 1\u202f200 leads, "
        "latest 112 leads."
    )
    assert chart.latest == "112 leads"
    assert [hit.text for hit in chart.hits] == [
        "12:00:00: 80 leads", "12:01:00: 1\u202f200 leads", "12:02:00: 112 leads",
    ]  # fmt: skip


@pytest.mark.parametrize("points", [[], minutes(5)])
def test_fewer_than_two_points_are_no_line(points: list[charts.Point]) -> None:
    assert charts.line(points, label="Leads") is None


@pytest.mark.parametrize(
    ("span", "label"),
    [
        (timedelta(minutes=2), "12:00:00"),
        (timedelta(hours=20), "12:00"),
        (timedelta(days=20), "12 Mar"),
        (timedelta(days=700), "Mar 2026"),
    ],
)
def test_the_time_axis_is_as_exact_as_its_span_asks_for(span: timedelta, label: str) -> None:
    chart = charts.line([(NOON, 1), (NOON + span, 2)], label="Leads")

    assert chart is not None
    assert chart.columns[0].label == label
    assert [tick.second for tick in chart.columns] == [False, True, False, True, False]


def test_bars_are_as_long_as_their_part_of_the_largest() -> None:
    assert charts.bars([("Replied", 1000), ("Bounced", 250), ("Odd", 4)]) == [
        charts.Bar("Replied", "1\u202f000", "100", "80 %"),
        charts.Bar("Bounced", "250", "25", "20 %"),
        charts.Bar("Odd", "4", "0.4", "< 1 %"),
    ]
    assert charts.bars([]) == []
    assert [bar.value for bar in charts.bars([("a", 7.4), ("b", 4.05), ("c", 3)])] == [
        "7.40",
        "4.05",
        "3.00",
    ]
    assert charts.bars([("Nothing", 0)]) == [charts.Bar("Nothing", "0", "0", "0 %")]


@example([0.0, 5e-324])  # the smallest there is: a quarter of it is 0
@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=200))
def test_every_line_stays_in_its_square(values: list[float]) -> None:
    chart = charts.line(list(enumerate(values)), label="Any")

    assert chart is not None
    for pair in chart.line.removeprefix("M").split("L"):
        x, y = map(float, pair.split())
        assert 0 <= x <= 100
        assert 0 <= y <= 100


@given(st.floats(1e-6, 1e12))
def test_an_axis_ends_at_a_round_number_not_far_above(largest: float) -> None:
    top = charts.nice_top(largest)

    assert largest <= top * (1 + 1e-9)
    assert top <= max(largest * 2.6, 4)
