"""Charts as plain geometry: numbers in, positions and words out, for templates/ui/chart_*.html.

A drawing has no size of its own. The plot is a 100 x 100 square that stretches with its box, while
labels are placed by percentage and keep their size: one drawing serves a phone and a wide screen.
Every chart carries its figures in words too (`summary`), for those who don't see it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil, floor, log10

from django.utils import timezone
from django.utils.formats import date_format

THIN_SPACE = "\u202f"
ROWS = 4  # grid lines above the base line
COLUMNS = 4  # steps between the labels of the x axis
NOTHING = 1e-9  # no figure of ours is smaller, and a quarter of a float's smallest value is 0
MOST_HIT_AREAS = 180  # more would be thinner than a pixel

Position = datetime | float
Point = tuple[Position, float]


@dataclass(frozen=True, slots=True)
class Tick:
    at: str  # per cent of the plot, from the left or from the top
    label: str
    anchor: str = "middle"
    second: bool = False  # left out where there is little room


@dataclass(frozen=True, slots=True)
class Hit:
    """The strip of one point: where the pointer finds its value."""

    x: str
    width: str
    at: str
    text: str


@dataclass(frozen=True, slots=True)
class LineChart:
    label: str
    unit: str
    line: str  # path data in the 100 x 100 square
    area: str
    dot: str
    rows: list[Tick]
    columns: list[Tick]
    hits: list[Hit]
    latest: str
    summary: str


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    value: str
    width: str  # per cent of the longest
    share: str  # per cent of the whole


@dataclass(frozen=True, slots=True)
class Spark:
    line: str
    area: str
    dot: str
    summary: str


def grouped(value: float) -> str:
    """A number for a person: 1 234 567 (narrow no-break spaces), two decimals at most."""
    text = f"{value:,.2f}".rstrip("0").rstrip(".")
    return text.replace(",", THIN_SPACE)


def line(points: Sequence[Point], *, label: str, unit: str = "") -> LineChart | None:
    """The chart of points sorted by position; None for fewer than two, which draw no line."""
    if len(points) < 2:
        return None
    places = [_number(at) for at, _ in points]
    first, span = places[0], (places[-1] - places[0]) or 1.0
    top = nice_top(max(value for _, value in points))
    drawn = [
        ((place - first) / span * 100, 100 - max(value, 0) / top * 100)
        for place, (_, value) in zip(places, points, strict=True)
    ]
    path = _path(drawn)
    unit_text = f" {unit}" if unit else ""
    return LineChart(
        label=label,
        unit=unit,
        line=path,
        area=f"{path}L{_percent(drawn[-1][0])} 100L0 100Z",
        dot=f"M{_percent(drawn[-1][0])} {_percent(drawn[-1][1])}h0",
        rows=_rows(top),
        columns=_columns(points[0][0], points[-1][0]),
        hits=_hits(points, drawn, unit_text),
        latest=f"{grouped(points[-1][1])}{unit_text}",
        summary=_summary(points, label, unit_text),
    )


def bars(rows: Sequence[tuple[str, float]]) -> list[Bar]:
    """One bar per (label, number), as long as its part of the largest, in the order given.

    The numbers have the same decimals, so that they can be compared at a glance."""
    longest = max((number for _, number in rows), default=0) or 1
    total = sum(number for _, number in rows) or 1
    decimals = max((len(grouped(number).partition(".")[2]) for _, number in rows), default=0)
    return [
        Bar(
            label=name,
            value=f"{number:,.{decimals}f}".replace(",", THIN_SPACE),
            width=_percent(max(number, 0) / longest * 100),
            share=_share(number / total),
        )
        for name, number in rows
    ]


def spark(values: Sequence[float]) -> Spark | None:
    """A line without axes for the corner of a figure; None when there are fewer than two values."""
    if len(values) < 2:
        return None
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = 100 / (len(values) - 1)
    drawn = [(i * step, 96 - (value - low) / span * 92) for i, value in enumerate(values)]
    path = _path(drawn)
    return Spark(
        line=path,
        area=f"{path}L100 100L0 100Z",
        dot=f"M100 {_percent(drawn[-1][1])}h0",
        summary=f"From {grouped(values[0])} to {grouped(values[-1])}, "
        f"lowest {grouped(low)}, highest {grouped(high)}",
    )


def nice_top(largest: float) -> float:
    """The end of an axis that starts at 0: not under `largest`, and four round steps away."""
    if largest < NOTHING:
        return float(ROWS)
    step = largest / ROWS
    scale = 10.0 ** floor(log10(step))
    for nice in (1, 2, 2.5, 5, 10):
        if nice * scale >= step and (nice * scale >= 1 or largest < 1):
            return nice * scale * ROWS
    return float(ceil(largest))


def _number(at: Position) -> float:
    return at.timestamp() if isinstance(at, datetime) else float(at)


def _percent(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _share(part: float) -> str:
    if 0 < part < 0.01:
        return "< 1 %"
    return f"{part * 100:.0f} %"


def _path(drawn: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_percent(x)} {_percent(y)}" for x, y in drawn)


def _short(value: float) -> str:
    for size, letter in ((1_000_000, "M"), (10_000, "k")):
        if value >= size:
            divisor = 1_000 if letter == "k" else size
            return f"{grouped(value / divisor)}{letter}"
    return grouped(value)


def _rows(top: float) -> list[Tick]:
    return [
        Tick(at=_percent(100 - i * 100 / ROWS), label=_short(top * i / ROWS))
        for i in range(ROWS + 1)
    ]


def _columns(start: Position, end: Position) -> list[Tick]:
    return [
        Tick(
            at=_percent(i * 100 / COLUMNS),
            label=_place(_between(start, end, i / COLUMNS), start, end),
            anchor={0: "start", COLUMNS: "end"}.get(i, "middle"),
            second=i % 2 == 1,
        )
        for i in range(COLUMNS + 1)
    ]


def _between(start: Position, end: Position, part: float) -> Position:
    if isinstance(start, datetime) and isinstance(end, datetime):
        return start + (end - start) * part
    return _number(start) + (_number(end) - _number(start)) * part


def _place(at: Position, start: Position, end: Position) -> str:
    """A position in words, as exact as the width of the axis asks for."""
    if not isinstance(at, datetime):
        return grouped(at)
    local = timezone.localtime(at) if timezone.is_aware(at) else at
    span = timedelta(seconds=_number(end) - _number(start))
    if span <= timedelta(minutes=4):
        return date_format(local, "H:i:s")
    if span <= timedelta(hours=36):
        return date_format(local, "H:i")
    return date_format(local, "j M" if span <= timedelta(days=330) else "M Y")


def _hits(
    points: Sequence[Point], drawn: Sequence[tuple[float, float]], unit_text: str
) -> list[Hit]:
    if len(points) > MOST_HIT_AREAS:
        return []
    edges = [0.0, *((a[0] + b[0]) / 2 for a, b in pairwise(drawn)), 100.0]
    start, end = points[0][0], points[-1][0]
    return [
        Hit(
            x=_percent(left),
            width=_percent(right - left),
            at=_percent(x),
            text=f"{_place(at, start, end)}: {grouped(value)}{unit_text}",
        )
        for (at, value), (x, _), (left, right) in zip(points, drawn, pairwise(edges), strict=True)
    ]


def _summary(points: Sequence[Point], label: str, unit_text: str) -> str:
    values = [value for _, value in points]
    start, end = points[0][0], points[-1][0]
    return (
        f"{label}, {_place(start, start, end)} to {_place(end, start, end)}: "
        f"lowest {grouped(min(values))}{unit_text}, highest {grouped(max(values))}{unit_text}, "
        f"latest {grouped(values[-1])}{unit_text}."
    )
