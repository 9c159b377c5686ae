"""Reminders before a trial with a card is charged: the day, the card, and Stripe's amount.

Stripe's event `customer.subscription.trial_will_end` is not needed for it: it may be lost, and
comes once. The clock and the row decide.
"""

from __future__ import annotations

import structlog
from django.utils import timezone

from billing import gateway, letters, projection, standing, subscriptions, trials
from billing.models import Subscription
from saas.errors import Refused, Retryable
from saas.money import Money
from saas.tenancy import everyone, scope

log = structlog.get_logger(__name__)


def announce(limit: int = 20) -> int:
    """Remind of trials with a card that end within trials.ANNOUNCED days; return of how many.

    Safe to repeat and to race. Asks Stripe for each amount; when it doesn't answer, the next sweep
    goes on. Who has cancelled is charged nothing, and isn't reminded.
    """
    told = 0
    for days in sorted(trials.ANNOUNCED):
        with everyone("trials with a card that end soon"):
            running = Subscription.objects.filter(
                status="trialing", duplicate=False, cancel_at_period_end=False
            )
            due = trials.nearing(running, days, timezone.now()).order_by("?")
            wanted = list(due.values_list("brand_id", "stripe_id")[:limit])
        for brand_id, stripe_id in wanted:
            try:
                charge = _first_charge(stripe_id)
            except Retryable as e:
                log.warning("stripe.reminders_wait", exc_info=e)
                return told
            told += charge is not None and _announce(brand_id, stripe_id, days, charge)
    return told


def _first_charge(stripe_id: str) -> Money | None:
    """What the invoice at the trial's end will take from the card; None when there will be none."""
    try:
        invoice = gateway.preview({"subscription": stripe_id})
    except Refused as e:
        log.info("stripe.no_first_charge", subscription=stripe_id, code=e.code)
        projection.subscription(stripe_id)  # it was cancelled there: learn of it
        return None
    return Money(invoice["amount_due"], invoice["currency"])


def _announce(brand_id: int, stripe_id: str, days: int, charge: Money) -> bool:
    with scope(brand_id):
        account = standing.locked(brand_id)
        rows = Subscription.objects.filter(stripe_id=stripe_id, status="trialing", duplicate=False)
        row = trials.nearing(rows, days, timezone.now()).first()
        if row is None or subscriptions.ends(row):
            return False
        row.trial_announced = days
        row.save(update_fields=["trial_announced"])
        letters.trial_charges(account, row, charge)
        return True
