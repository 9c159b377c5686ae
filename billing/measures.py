"""Billing's numbers for the operators' dashboards, read at the scrape (under everyone())."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count
from django.utils import timezone

from billing.models import BillingAccount, StripeInbox, StripeOperation
from saas.observability.metrics import Gauge

WAITING = (StripeInbox.State.PENDING, StripeInbox.State.PARKED)
UNFINISHED = (StripeOperation.State.PENDING, StripeOperation.State.STUCK)

LABELS = {
    "stripe_inbox_events": "Stripe's events that wait or were parked",
    "stripe_operations": "Writes at Stripe that wait or are stuck",
    "brands": "Brands by standing",
}


def gauges() -> Iterator[Gauge]:
    """Yield what waits or was given up, and how many brands stand where."""
    for state, label, count in _counts():
        yield Gauge(f"harbor_{label}", LABELS[label], float(count), {"state": state})
    oldest = (
        StripeInbox.objects.filter(state=StripeInbox.State.PENDING)
        .order_by("next_attempt_at")
        .values_list("received_at", flat=True)
        .first()
    )
    age = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    yield Gauge("harbor_stripe_inbox_age_seconds", "Age of the oldest waiting Stripe event", age)


def _counts() -> Iterator[tuple[str, str, int]]:
    inbox = StripeInbox.objects.filter(state__in=WAITING).values_list("state")
    operations = StripeOperation.objects.filter(state__in=UNFINISHED).values_list("state")
    brands = BillingAccount.objects.values_list("standing")
    for label, rows, states in (
        ("stripe_inbox_events", inbox, WAITING),
        ("stripe_operations", operations, UNFINISHED),
        ("brands", brands, ()),
    ):
        found = {str(state): 0 for state in states}
        found.update(rows.annotate(count=Count("pk")).order_by())
        for state, count in found.items():
            yield state, label, count
