"""Billing's tasks: thin, short, safe to repeat. The rows own the work."""

from __future__ import annotations

from celery import shared_task

from billing import (
    checkout,
    inbox,
    operations,
    projection,
    renewals,
    standing,
    trial_reminders,
    trials,
    usage,
)
from billing.models import StripeOperation
from saas.jobs import job
from saas.tenancy import everyone


@shared_task(name="billing.inbox.drain")
def drain_inbox() -> None:
    """Work off Stripe's events that are due."""
    inbox.drain()


@shared_task(name="billing.inbox.sweep")
def sweep_inbox() -> None:
    """Find events whose message was lost or whose worker died."""
    inbox.sweep()


@shared_task(name="billing.inbox.catch_up")
def catch_up() -> None:
    """Take in events that Stripe made and never delivered."""
    with job("billing.inbox.catch_up") as trace:
        trace.note(f"{inbox.catch_up()} events taken in")


@shared_task(name="billing.inbox.prune")
def prune_inbox() -> None:
    """Delete events that were worked long ago."""
    with job("billing.inbox.prune") as trace:
        trace.note(f"{inbox.prune()} old events deleted")


@shared_task(name="billing.renewals.sweep")
def sweep_renewals() -> None:
    """Ask Stripe about renewals whose webhook never came."""
    with job("billing.renewals.sweep") as trace:
        asked, news = renewals.sweep()
        trace.note(f"{asked} asked about, {news} had news")


@shared_task(name="billing.operations.run")
def run_operation(operation_id: str) -> None:
    """Finish one operation that may have been cut short."""
    with everyone("one Stripe operation"):
        operation = StripeOperation.objects.filter(pk=operation_id).first()
    if operation:
        operations.execute(operation)


@shared_task(name="billing.operations.sweep")
def sweep_operations() -> None:
    """Finish operations whose time has come and whose process died."""
    for operation in operations.due(limit=20):
        operations.execute(operation)


@shared_task(name="billing.checkout.refresh")
def refresh_checkout(session: str) -> None:
    """Ask Stripe about a session whose webhook is late."""
    checkout.refresh(session)


@shared_task(name="billing.subscriptions.refresh")
def refresh_subscription(stripe_id: str) -> None:
    """Show what Stripe now says of a subscription, without waiting for its event."""
    projection.subscription(stripe_id)


@shared_task(name="billing.standing.sweep")
def sweep_standing() -> None:
    """End trials and grace periods that ran out, and forgotten checkouts."""
    with job("billing.standing.sweep") as trace:
        moved = standing.sweep()
        told = trials.announce() + trial_reminders.announce()
        asked = checkout.sweep()
        trace.note(f"{moved} accounts moved, {told} reminded, {asked} checkouts asked about")


@shared_task(name="billing.usage.sweep")
def sweep_usage() -> None:
    """Report what was used to Stripe's meters."""
    with job("billing.usage.sweep") as trace:
        trace.note(f"{usage.sweep()} batches sent")
