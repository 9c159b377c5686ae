"""How fast a backfill is, how far, and how long still: measured, not promised."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Coalesce, Least
from django.utils import timezone

from leads.backfill import reach
from leads.ingest.staging import run
from leads.models import Backfill, Cursor, Rate
from leads.smartlead.client import ALL_PAGE, PAGE

MEASURED = timedelta(minutes=5)  # what the rate is measured over
TOO_SHORT = timedelta(seconds=60)  # a window's burst says nothing yet
ROWS_PER_SECOND = 2_000.0  # of an export: what SmartLead sends, rather than what we take in
READING = (Cursor.Kind.LEADS, Cursor.Kind.CREATED, Cursor.Kind.EVENTS)  # not only their order
CHART = timedelta(minutes=30)
CHART_POINTS = 60
ROLL_UP_AFTER = timedelta(hours=2)

ADD = """
INSERT INTO leads_rate AS r (brand_id, backfill_id, at, calls, leads, messages)
VALUES (%(brand)s, %(backfill)s, %(at)s, %(calls)s, %(leads)s, %(messages)s)
ON CONFLICT (backfill_id, at) DO UPDATE SET calls = r.calls + excluded.calls,
  leads = r.leads + excluded.leads, messages = r.messages + excluded.messages"""

ROLL_UP = """
WITH old AS (
  DELETE FROM leads_rate WHERE at < %(before)s AND at <> date_trunc('hour', at) RETURNING *)
INSERT INTO leads_rate AS r (brand_id, backfill_id, at, calls, leads, messages)
SELECT brand_id, backfill_id, date_trunc('hour', at), sum(calls), sum(leads), sum(messages)
FROM old GROUP BY 1, 2, 3
ON CONFLICT (backfill_id, at) DO UPDATE SET calls = r.calls + excluded.calls,
  leads = r.leads + excluded.leads, messages = r.messages + excluded.messages"""

# An export is one call, whatever its size, and says who replied; its rows take time of their own.
LEFT = """
SELECT coalesce(sum(CASE
    WHEN c.source = 'export' THEN 1
    WHEN c.kind = 'replied' AND e.id IS NOT NULL THEN 0
    ELSE greatest(ceil((coalesce(c.total, %(guess)s) - c.position) /
      CASE c.kind WHEN 'leads' THEN %(leads)s ELSE %(page)s END::numeric), 1)
    END), 0),
  coalesce(sum(greatest(coalesce(c.total, %(guess)s) - c.position, 0))
    FILTER (WHERE c.source = 'export'), 0)
FROM leads_cursor c LEFT JOIN leads_cursor e ON e.backfill_id = c.backfill_id
  AND e.campaign_id = c.campaign_id AND e.kind = 'leads' AND e.source = 'export'
WHERE c.backfill_id = %(backfill)s AND c.state = 'open'"""


@dataclass(frozen=True)
class Left:
    """What remains: calls, and the rows that exports have still to bring."""

    calls: int = 0
    rows: int = 0


@dataclass(frozen=True)
class Progress:
    """A backfill's figures for a person. `per_minute` calls; `eta` seconds, None when unknown.

    `measured` False: too little has happened yet, so the pace is the brand's limit.
    """

    calls_left: int
    per_minute: float
    measured: bool
    eta: float | None
    leads_read: int
    leads_total: int
    messages_total: int | None


def add(backfill: Backfill, now: datetime, *, calls: int, leads: int, messages: int) -> None:
    """Count calls and what they brought into the bucket of now, in the caller's transaction."""
    second = int(now.timestamp()) // Rate.BUCKET * Rate.BUCKET
    run(
        ADD,
        {
            "brand": backfill.brand_id,
            "backfill": backfill.pk,
            "at": datetime.fromtimestamp(second, UTC),
            "calls": calls,
            "leads": leads,
            "messages": messages,
        },
    )


def of(backfill: Backfill, now: datetime | None = None) -> Progress:
    """Measure the backfill. Call inside its brand's scope."""
    now = now or timezone.now()
    left = what_is_left(backfill)
    per_minute = calls_per_minute(backfill, now)
    running = backfill.state == Backfill.State.RUNNING
    return Progress(
        calls_left=left.calls,
        per_minute=per_minute,
        measured=_is_measured(backfill, now),
        eta=_seconds(backfill, left, per_minute, now) if running and per_minute > 0 else None,
        # A full plan took in part of what the cursors have not passed yet.
        leads_read=max(_leads_read(backfill), backfill.leads_new),
        leads_total=_leads_total(backfill),
        messages_total=backfill.history_total,
    )


def _seconds(backfill: Backfill, left: Left, per_minute: float, now: datetime) -> float:
    """While exports stream, few calls are made: their pace says nothing of the calls to come."""
    if not left.rows:
        return left.calls / per_minute * 60
    calls = left.calls / backfill.connection.calls_per_minute * 60
    return left.rows / rows_per_second(backfill, now) + calls


def what_is_left(backfill: Backfill) -> Left:
    """Estimate what remains: pages and exports by their cursors, messages one call a lead."""
    if not backfill.live:
        return Left()
    unknown = Cursor.objects.filter(backfill=backfill, kind=Cursor.Kind.LEADS, total=None).count()
    known = _known_total(backfill)
    guess = max(backfill.planned_leads - known, 0) // unknown if unknown else 0
    with connection.cursor() as cursor:
        # While the whole list is read, it is what brings the leads.
        whole = Cursor.objects.filter(
            backfill=backfill, kind=Cursor.Kind.ALL, state=Cursor.State.OPEN
        )
        leads = ALL_PAGE if whole.exists() else PAGE
        params = {"guess": guess, "page": PAGE, "leads": leads, "backfill": backfill.pk}
        cursor.execute(LEFT, params)
        calls, rows = cursor.fetchone() or (0, 0)
    if backfill.history_total is not None and backfill.phase != Backfill.Phase.LEADS:
        histories = max(backfill.history_total - backfill.history_done, 0)
    else:
        threads = reach.threads(backfill, _leads_total(backfill))
        histories = max(threads - backfill.history_done, 0)
    return Left(int(calls) + histories, int(rows))


def rows_per_second(backfill: Backfill, now: datetime) -> float:
    """Return the measured rows a second; the plan's guess before there is a measurement."""
    began = max(backfill.started_at or now, now - MEASURED)
    seconds = (now - began).total_seconds()
    if seconds < Rate.BUCKET:
        return ROWS_PER_SECOND
    rows = Rate.objects.filter(backfill=backfill, at__gte=began).aggregate(n=Sum("leads"))["n"]
    return max(float(rows or 0) / seconds, 1.0)


def calls_per_minute(backfill: Backfill, now: datetime) -> float:
    """Return the measured calls a minute; the limit itself before there is a measurement.

    Never more than the limit: the burst of two windows within a minute and a half is no pace to
    promise the rest by.
    """
    limit = float(backfill.connection.calls_per_minute)
    if backfill.started_at is None or not _is_measured(backfill, now):
        return limit
    began = max(backfill.started_at, now - MEASURED)
    calls = Rate.objects.filter(backfill=backfill, at__gte=began).aggregate(n=Sum("calls"))["n"]
    return min(float(calls or 0) / ((now - began).total_seconds() / 60), limit)


def _is_measured(backfill: Backfill, now: datetime) -> bool:
    return backfill.started_at is not None and now - backfill.started_at >= TOO_SHORT


def chart(backfill: Backfill, now: datetime | None = None) -> list[tuple[datetime, float]]:
    """Return leads and messages a minute over the last half hour (or the whole run, if shorter).

    Buckets without calls are zeros: a wait is to be seen as one. At most CHART_POINTS points.
    """
    if backfill.started_at is None:
        return []
    end = min(now or timezone.now(), backfill.ended_at or datetime.max.replace(tzinfo=UTC))
    begin = max(backfill.started_at, end - CHART)
    step = _step(end - begin)
    rows = Rate.objects.filter(backfill=backfill, at__gte=begin - timedelta(seconds=step))
    sums: dict[int, int] = {}
    for at, leads, messages in rows.values_list("at", "leads", "messages"):
        slot = int(at.timestamp()) // step
        sums[slot] = sums.get(slot, 0) + leads + messages
    first, last = int(begin.timestamp()) // step, int(end.timestamp()) // step
    return [
        (datetime.fromtimestamp(slot * step, UTC), sums.get(slot, 0) * 60 / step)
        for slot in range(first, last + 1)
    ]


def roll_up(now: datetime) -> int:
    """Merge old buckets into hours; return how many were written. Inside everyone(); repeatable."""
    return run(ROLL_UP, {"before": now - ROLL_UP_AFTER})


def _step(span: timedelta) -> int:
    buckets = max(1, round(span.total_seconds() / Rate.BUCKET))
    return Rate.BUCKET * -(-buckets // CHART_POINTS)


def _known_total(backfill: Backfill) -> int:
    rows = Cursor.objects.filter(backfill=backfill, kind__in=READING)
    return int(rows.aggregate(n=Sum("total"))["n"] or 0)


def _leads_read(backfill: Backfill) -> int:
    """Places in campaigns that the cursors have passed; a page read again counts once."""
    rows = Cursor.objects.filter(backfill=backfill, kind__in=READING)
    passed = rows.aggregate(n=Sum(Least("position", Coalesce("total", "position"))))["n"]
    return int(passed or 0)


def _leads_total(backfill: Backfill) -> int:
    """Places in campaigns: what the cursors know, or the plan where it is more."""
    known = _known_total(backfill)
    exact = not Cursor.objects.filter(
        backfill=backfill, kind=Cursor.Kind.LEADS, total=None
    ).exists()
    return known if exact else max(known, backfill.planned_leads)
