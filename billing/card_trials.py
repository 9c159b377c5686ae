"""The trial with a card: a plan's first days free, charged afterwards unless it is cancelled.

It is Stripe's trial, with the rights of the plan. A customer has one, whatever they do: one a
person (who opened the Checkout), one a brand, one a card (ADR 19). Whether somebody began on the
trial without a card (billing.trials) doesn't matter here.

Nothing is taken while the payment page is open, so leaving it costs nothing. The trial is taken
when its subscription is first seen: one row of CardTrial, whose unique columns let one of any
number of races through. A subscription that finds its customer's trial used is set aside before it
grants anything, and is cancelled at once: it was never charged, and the pages say so.

A trial that staff give in Stripe's dashboard carries no mark of ours and is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from billing import letters
from billing.catalog import Plan
from billing.models import BillingAccount, CardTrial, Invoice, Subscription
from saas import audit
from saas.errors import Refused

log = structlog.get_logger(__name__)
Used = Subscription.TrialUsed
MARK = "trial_of"  # in a subscription's metadata: the person whose trial it is


def is_open(brand_id: int, user: User) -> bool:
    """Tell whether neither the brand nor the person had their trial with a card. Takes no lock."""
    return not CardTrial.objects.filter(Q(of_brand=brand_id) | Q(person=user)).exists()


def require(brand_id: int, user: User, plan: Plan) -> None:
    """Raise Refused("trial_used" | "unknown_plan") unless a trial of the plan may be begun.

    Only a first answer: the card is known later, and a race is decided by `judge`.
    """
    if not plan.trial_days:
        raise Refused("unknown_plan", f"{plan.name} has no trial. You can subscribe to it.")
    if not is_open(brand_id, user):
        words = "You or this brand have already had a trial with a card."
        raise Refused("trial_used", f"{words} You can subscribe without one.")


def terms(plan: Plan, person: int, about: Mapping[str, str]) -> dict[str, Any]:
    """Return what a Checkout session needs to begin with the plan's trial.

    Cards only, since only their fingerprint says whose trial it is; and always one, although
    nothing is due. Who takes it away again ends the trial without a debt.
    """
    return {
        "payment_method_types": ["card"],
        "payment_method_collection": "always",
        "subscription_data": {
            "metadata": {**about, MARK: str(person)},
            "trial_period_days": plan.trial_days,
            "trial_settings": {"end_behavior": {"missing_payment_method": "cancel"}},
        },
    }


def judge(
    account: BillingAccount,
    row: Subscription,
    metadata: Mapping[str, Any],
    card: Mapping[str, Any],
) -> None:
    """Give a subscription on trial its trial, or set it aside as its customer's second one.

    In the transaction that projects it, under the account's lock, before the row is saved. Safe to
    repeat; waits for a race's other side to commit. One that is no longer on trial when it is first
    seen is left alone: its payment was agreed to.
    """
    person = str(metadata.get(MARK, ""))
    if not (row.on_trial and person.isdecimal()) or row.duplicate:
        return
    used = _claim(row.stripe_id, account.brand_id, int(person), card.get("fingerprint"))
    if not used:
        return
    from billing import subscriptions  # it projects what it changes, and is imported by that

    row.duplicate, row.trial_refused = True, used
    subscriptions.begin_cancel_trial(row)
    log.warning("billing.trial_refused", subscription=row.stripe_id, used=used)
    audit.record("trial.refused", account, actor=None, reason=f"{row.stripe_id}: {used.label}")


def _claim(subscription: str, brand_id: int, person: int, card: str | None) -> Used | None:
    """Take the trial for a subscription; None when it is its own, else whose was used before."""
    known = User.objects.filter(pk=person).values_list("pk", flat=True).first()
    wanted = {"of_brand_id": brand_id, "person_id": known, "card": card}
    CardTrial.objects.bulk_create(
        [CardTrial(subscription=subscription, **wanted)], ignore_conflicts=True
    )
    own = CardTrial.objects.filter(subscription=subscription).first()
    if own is None:
        return _conflict(wanted)
    if own.card is None and card:
        return _add_card(own, card)
    return None


def _conflict(wanted: Mapping[str, Any]) -> Used:
    for column, used in (("of_brand_id", Used.BRAND), ("person_id", Used.PERSON)):
        value = wanted[column]
        if value and CardTrial.objects.filter(**{column: value}).exists():
            return used
    return Used.CARD


def _add_card(own: CardTrial, card: str) -> Used | None:
    """Stripe named the card later than the trial."""
    own.card = card
    try:
        with transaction.atomic():
            own.save(update_fields=["card"])
    except IntegrityError:  # one_card: it had its trial
        return Used.CARD
    return None


def give_back(row: Subscription) -> None:
    """Return the trial of a subscription that is cancelled before it granted anything."""
    CardTrial.objects.filter(subscription=row.stripe_id).delete()


def convert(account: BillingAccount, row: Subscription) -> None:
    """Note that a trial became a paid plan, and tell those who pay: once, with its first payment.

    Under the account's lock, after a projection of the subscription or of an invoice, whichever
    comes last.
    """
    if row.status != "active" or not row.trial_ends_at or row.trial_converted_at:
        return
    paid = Invoice.objects.filter(subscription=row.stripe_id, status="paid")
    first = paid.filter(issued_at__gte=row.trial_ends_at).order_by("issued_at").first()
    if first is None:
        return
    row.trial_converted_at = timezone.now()
    row.save(update_fields=["trial_converted_at"])
    audit.record("trial.converted", account, actor=None, reason=f"invoice {first} is paid")
    letters.trial_paid(account, row, first)


def last_refused() -> Subscription | None:
    """Return the scope's last subscription if it was a trial that was refused."""
    last: Subscription | None = Subscription.objects.order_by("-started_at", "-pk").first()
    return last if last and last.trial_refused else None
