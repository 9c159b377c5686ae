"""Renewals whose webhook never came: what should have moved at Stripe by now is fetched again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from django.db.models import QuerySet
from django.utils import timezone

from billing import projection
from billing.models import Invoice, Subscription
from saas.errors import HarborError
from saas.tenancy import everyone

log = structlog.get_logger(__name__)

# Stripe holds a renewal's invoice as a draft for an hour, and its news may take a while more.
LATE = timedelta(hours=2)
RENEWING = ("active", "trialing", "past_due")
BATCH = 50


def sweep(limit: int = BATCH) -> tuple[int, int]:
    """Fetch subscriptions whose period ended, and open invoices whose next attempt is over.

    Returns how many rows were asked about and how many of them had news. A fetch draws a higher
    ticket, so what stays late goes behind the others and no row keeps the sweep to itself. Safe to
    repeat and to race. Stripe's refusal of one row doesn't stop the others.
    """
    over = timezone.now() - LATE
    with everyone("renewals without news"):
        late = Subscription.objects.filter(status__in=RENEWING, current_period_end__lt=over)
        unpaid = Invoice.objects.filter(status="open", next_attempt_at__lt=over)
        wanted = _oldest(late, limit) + _oldest(unpaid, limit)
    for model, stripe_id in wanted:
        _fetch(model, stripe_id)
    with everyone("renewals without news"):
        asked = [stripe_id for _, stripe_id in wanted]
        still = [rows.filter(stripe_id__in=asked).count() for rows in (late, unpaid)]
    return len(asked), len(asked) - sum(still)


def _fetch(model: type[Subscription | Invoice], stripe_id: str) -> None:
    fetch = projection.subscription if model is Subscription else projection.invoice
    try:
        known = fetch(stripe_id)
    except HarborError as e:
        log.warning("stripe.renewal_unknown", stripe_id=stripe_id, exc_info=e)
        return
    if not known:
        log.error("stripe.renewal_of_nobody", stripe_id=stripe_id)
        with everyone("renewals without news"):
            model.objects.filter(stripe_id=stripe_id).update(version=projection.ticket())


def _oldest(rows: QuerySet[Any], limit: int) -> list[tuple[Any, str]]:
    """The rows whose last fetch is the oldest."""
    found = rows.order_by("version").values_list("stripe_id", flat=True)[:limit]
    return [(rows.model, stripe_id) for stripe_id in found]
