"""Numbers of backfills for the operators' dashboards, read at the scrape (under everyone())."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Min
from django.utils import timezone

from leads.models import Backfill
from leads.smartlead.gate import PROVIDER
from saas.breaker import Breaker
from saas.leases import free
from saas.observability.metrics import Gauge

STATES = {"closed": 0.0, "half_open": 0.5, "open": 1.0}


def gauges() -> Iterator[Gauge]:
    """Yield the live backfills by state and wait, how late the latest is, and the provider's
    breaker. Brands behind their own breaker are those that wait for `breaker`."""
    live = Backfill.objects.filter(state__in=Backfill.LIVE)
    for state, wait, count in live.values_list("state", "wait").annotate(n=Count("pk")).order_by():
        yield Gauge(
            "harbor_backfills",
            "Live backfills by state and what they wait for",
            float(count),
            {"state": state, "wait": wait},
        )
    late = Backfill.objects.filter(free(), state__in=Backfill.CARRIED, due_at__lt=timezone.now())
    oldest = late.aggregate(oldest=Min("due_at"))["oldest"]
    seconds = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    yield Gauge("harbor_backfill_late_seconds", "How late the latest due backfill is", seconds)
    state = Breaker(PROVIDER).state().name
    if state in STATES:
        yield Gauge(
            "harbor_breaker_open",
            "Breakers: 0 closed, 0.5 probing, 1 open",
            STATES[state],
            {"breaker": PROVIDER},
        )
