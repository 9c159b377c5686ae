"""What billing holds for a brand: taken along in an export; a running plan keeps a brand alive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from accounts import privacy
from accounts.models import Brand, User
from billing import checkout, gateway, left_behind, standing, subscriptions
from billing.models import BillingAccount, Checkout, Invoice, Subscription
from saas.errors import Refused


def _account(brand_id: int) -> Iterator[dict[str, Any]]:
    fields = ("plan", "standing", "trial_ends_at", "lead_quota", "leads_used", "created_at")
    yield from privacy.pages(brand_id, BillingAccount.objects.all, *fields)


def _subscriptions(brand_id: int) -> Iterator[dict[str, Any]]:
    terms = ("plan", "status", "currency", "amount", "card")
    times = ("started_at", "trial_ends_at", "ended_at")
    yield from privacy.pages(brand_id, Subscription.objects.all, *terms, *times)


def _invoices(brand_id: int) -> Iterator[dict[str, Any]]:
    fields = ("number", "status", "currency", "total", "amount_paid", "issued_at", "paid_at")
    yield from privacy.pages(brand_id, Invoice.objects.all, *fields)


def _close_checkout(brand_id: int) -> None:
    """A payment page that Stripe doesn't close now, or that can't be opened, is seen by the guard;
    the closing goes on by itself."""
    with suppress(Refused, *gateway.PASSING):
        checkout.close(brand_id)


def _refuse_while_charged(brand: Brand, _: User) -> None:
    """Nobody may be charged for a brand that is gone. Locks the account, so that nothing new begins
    meanwhile (`privacy.refuse_when_closed`)."""
    account = standing.locked(brand.pk)
    if Checkout.objects.filter(state=Checkout.State.OPEN).exists():
        words = "A payment page of this brand is being closed. Try again in a few minutes."
        raise Refused("checkout_open", words)
    if subscriptions.being_cancelled():
        words = "A cancellation is on its way to Stripe. Try again in a few minutes."
        raise Refused("cancellation_waits", words)
    running = subscriptions.live()
    wish = subscriptions.wish(running) if running else None
    if running and (not running.cancel_at_period_end or wish is False):
        words = "Cancel your plan under Billing first."
        if wish:
            words = "Your cancellation is on its way to Stripe. Try again in a few minutes."
        raise Refused("subscription_runs", words)
    left_behind.note(brand, account)


def register() -> None:
    """Add billing's holdings and its guard; called once, in ready()."""
    privacy.register("billing_account", order=20, rows=_account)
    privacy.register("subscriptions", order=21, rows=_subscriptions)
    privacy.register("invoices", order=22, rows=_invoices)
    privacy.to_prepare_erasure(_close_checkout)
    privacy.before_erasure(_refuse_while_charged)
