"""Numbers of leads for the operators' dashboards, read at the scrape (under everyone())."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Min
from django.utils import timezone

from leads.models import Delivery
from saas.observability.metrics import Gauge

WAITING = (Delivery.State.PENDING, Delivery.State.PARKED)


def gauges() -> Iterator[Gauge]:
    """Yield how many of SmartLead's events wait or were given up, and the age of the oldest."""
    rows = Delivery.objects.filter(state__in=WAITING)
    found = {str(state): 0 for state in WAITING}
    found.update(rows.values_list("state").annotate(count=Count("pk")).order_by())
    for state, count in found.items():
        yield Gauge(
            "harbor_smartlead_inbox_events",
            "SmartLead's events that wait or were parked",
            float(count),
            {"state": state},
        )
    pending = rows.filter(state=Delivery.State.PENDING)
    oldest = pending.aggregate(oldest=Min("received_at"))["oldest"]
    age = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    yield Gauge(
        "harbor_smartlead_inbox_age_seconds", "Age of the oldest waiting SmartLead event", age
    )
