"""Billing periods: calendar months from an anchor, clamped at a short month's end.

A subscription anchored on 31 January renews on 28 February and on 31 March again: every boundary
is counted from the anchor, never from the one before.
"""

import calendar
from datetime import UTC, datetime, timedelta

DAY = 86_400


def boundary(anchor: int, interval: str, count: int, n: int) -> int:
    """The n-th period boundary after the anchor (n may be negative), in unix seconds UTC."""
    start = datetime.fromtimestamp(anchor, UTC)
    steps = count * n
    if interval in ("day", "week"):
        return int((start + timedelta(days=steps * (7 if interval == "week" else 1))).timestamp())
    months = start.year * 12 + start.month - 1 + steps * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def period_end(anchor: int, interval: str, count: int, start: int) -> int:
    """The first boundary after `start`."""
    days = {"day": 1, "week": 7, "month": 31, "year": 366}[interval] * count
    n = max((start - anchor) // (days * DAY) - 1, -1)
    while boundary(anchor, interval, count, n) <= start:
        n += 1
    return boundary(anchor, interval, count, n)
