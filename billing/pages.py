"""What the billing pages show, read inside the brand's scope. Selectors: they change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.formats import date_format

from accounts.models import Membership
from billing import (
    card_trials,
    catalog,
    changes,
    entitlements,
    pending,
    subscriptions,
    usage,
)
from billing.entitlements import Entitlements
from billing.models import Checkout, Invoice, Subscription
from billing.templatetags.taxed import taxed
from saas.money import Money

INVOICES_SHOWN = 24
INVOICE_TONES = {"paid": "green", "open": "amber", "uncollectible": "red", "void": "grey"}
STANDING_TONES = {
    "trialing": "blue",
    "active": "green",
    "past_due": "red",
    "downgraded": "amber",
    "canceled": "grey",
}

Counter = Callable[[int], int]
_counters: dict[str, Counter] = {}


@dataclass(frozen=True)
class Use:
    """How much of a limit is used; `used` None where nothing counts it."""

    label: str
    used: int | None
    limit: int


@dataclass(frozen=True)
class NextInvoice:
    amount: Money
    at: datetime


def count_use(name: str, counter: Counter) -> None:
    """Register how many "devices", "connections" or "leads" a brand has: `counter(brand_id)`, in
    its scope. Devices that are suspended count: they take a place in the plan."""
    _counters[name] = counter


def overview(brand_id: int) -> dict[str, Any]:
    """Return what the billing page shows."""
    rights = entitlements.of(brand_id)
    subscription = subscriptions.live()
    known = bool(subscription and subscription.cancel_at_period_end)
    ending = bool(subscription and subscriptions.ends(subscription))
    return {
        "rights": rights,
        "plan": catalog.PLANS.get(rights.plan),
        "tone": "amber" if rights.refusal else STANDING_TONES.get(rights.standing, "grey"),
        "subscription": subscription,
        "uses": _uses(brand_id, rights),
        "metered": usage.upcoming(brand_id),
        "planned": changes.planned(subscription) if subscription else None,
        "waiting": pending.waiting(subscription) if subscription else None,
        "next_invoice": _next_invoice(subscription),
        "invoices": _invoices(),
        "ending": ending,
        "on_its_way": ending != known,
        "owing": bool(subscription and subscription.status in ("past_due", "unpaid")),
        "refused": None if subscription else card_trials.last_refused(),
        "held": _held(brand_id) if subscription and not ending else {},
    }


def _held(brand_id: int) -> dict[str, int | None]:
    """Count what the end of a plan would touch."""
    return {name: _count(name, brand_id) for name in ("leads", "devices")}


def _count(name: str, brand_id: int) -> int | None:
    counter = _counters.get(name)
    return counter(brand_id) if counter else None


def _uses(brand_id: int, rights: Entitlements) -> list[Use]:
    uses = [
        Use("Leads brought in", rights.leads_used, rights.lead_quota),
        Use("SmartLead accounts", _count("connections", brand_id), rights.connections),
        Use("VPN devices", _count("devices", brand_id), rights.devices),
        Use("People", Membership.objects.count(), rights.members),
    ]
    return [use for use in uses if use.limit or use.used]


def _next_invoice(subscription: Subscription | None) -> NextInvoice | None:
    if (
        subscription is None
        or subscription.cancel_at_period_end
        or subscription.current_period_end is None
        or subscription.status not in ("active", "trialing", "past_due")
    ):
        return None
    following = changes.planned(subscription)
    price = Money(following.amount, following.currency) if following else subscription.price
    return NextInvoice(price, subscription.current_period_end)


def _invoices() -> list[dict[str, Any]]:
    rows = Invoice.objects.exclude(status="draft").order_by("-issued_at", "-pk")[:INVOICES_SHOWN]
    return [{"row": row, "tone": INVOICE_TONES.get(row.status, "grey")} for row in rows]


def confirmation(brand_id: int, session: str) -> dict[str, Any]:
    """Return how far a payment is: "done", "refused" (a second trial), "waiting", "left" or
    "unknown", and the plan bought."""
    checkout = Checkout.objects.filter(session=session).first()
    rights = entitlements.of(brand_id)
    plan = catalog.PLANS.get(checkout.plan) if checkout else None
    live = subscriptions.live()
    refused = None
    if checkout and checkout.subscription:
        bought = Subscription.objects.filter(stripe_id=checkout.subscription)
        refused = bought.exclude(trial_refused="").first()
    if refused:
        state = "refused"
    elif live and rights.live and (checkout is None or checkout.state == Checkout.State.COMPLETE):
        state = "done"
    elif checkout is None:
        state = "unknown"
    else:
        state = "left" if checkout.state == Checkout.State.EXPIRED else "waiting"
    return {
        "state": state,
        "plan": plan,
        "rights": rights,
        "session": session,
        "subscription": live,
        "trial_words": _promise(live) if live and live.on_trial else "",
        "refused": refused,
    }


def _promise(trial: Subscription) -> str:
    """What was agreed to with a trial with a card."""
    day = date_format(trial.trial_ends_at, "j F Y") if trial.trial_ends_at else ""
    less = f", less your discount ({trial.discount})," if trial.discount else ""
    return (
        "Everything in the plan is switched on, and nothing was charged. Your trial ends on "
        f"{day}; then {trial.price} {taxed(trial.currency)}{less} is charged"
        f" to your {trial.card or 'card'}, unless you cancel before."
    )
