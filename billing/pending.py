"""A change of plan that waits until the payer's bank has agreed (3-D Secure).

Asked to change a subscription all or nothing, Stripe refuses when the card's bank wants to hear the
payer. Then the same change is asked for once more, as a pending update: Stripe makes the same
invoice, keeps the subscription as it is, and applies the change in the moment in which the invoice
is paid. Unpaid it voids the invoice after 23 hours, or with the period. Voiding takes it back.

Stripe drops the usage on an invoice that is given up, so a metered plan is never changed like this;
nor with a promotion code, which would be used up by an invoice that may be given up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from billing import catalog, gateway, letters, operations
from billing.catalog import Offer
from billing.models import BillingAccount, Invoice, StripeOperation, Subscription
from saas.money import Money

ASKS = ("subscription_payment_intent_requires_action", "authentication_required")


@dataclass(frozen=True)
class Waiting:
    """What waits for the bank: the offer, what is charged, until when, where to confirm it."""

    offer: Offer
    amount: Money
    until: datetime
    page_url: str


def waiting(row: Subscription) -> Waiting | None:
    """Return the change of a subscription that waits for the bank, if any; in the brand's scope."""
    if not row.waits or row.pending_until is None:
        return None
    after = catalog.offer(row.pending_plan, row.pending_interval, row.currency, row.pending_seats)
    invoice = Invoice.objects.filter(stripe_id=row.pending_invoice).first()
    if after is None or invoice is None:
        return None
    return Waiting(
        after, Money(invoice.amount_due, row.currency), row.pending_until, invoice.page_url
    )


def may_wait(change: StripeOperation) -> bool:
    """Tell whether a change that was refused may be asked for as a pending update."""
    params = change.params
    fits = params.get("_metered") is False and not params.get("discounts")
    return change.error_code in ASKS and fits


def words(code: str, message: str, change: StripeOperation) -> str:
    """Say what to do about a refusal: Stripe's words, but for a bank that can't be waited for."""
    if code not in ASKS:
        return message
    ask = "Your bank wants you to confirm this payment, which isn't possible"
    if change.params.get("discounts"):
        then = "together with a promotion code. Try again without the code, or with another card."
    else:
        then = "for a plan that is billed by use. Try again with another card."
    return f"{ask} {then} Nothing was changed."


def begin(change: StripeOperation) -> StripeOperation:
    """Write the intent to ask once more for a refused change; once a promise. In the scope."""
    late = {"_late": _is_late(change), "payment_behavior": "pending_if_incomplete"}
    return operations.begin_once(ASK, subject=change.subject, params=change.params | late)


def asked(change: StripeOperation) -> StripeOperation | None:
    """Return the intent to ask once more for a change, if there is one. In the scope."""
    intents = StripeOperation.objects.filter(kind=ASK.name, subject=change.subject)
    found: StripeOperation | None = intents.first()
    return found


def tell_refusal(change: StripeOperation) -> None:
    """Write to those who pay that a change was refused, in the transaction that notes it. Who is
    still there reads it on the page instead."""
    if _is_late(change):
        problem = words(change.error_code, change.last_error, change)
        letters.change_stopped(_account(change), str(change.params.get("_plan")), problem)


def _tell_wait(change: StripeOperation, found: gateway.Object) -> None:
    """Write to those who pay that the bank asks about a change that went through an outage."""
    if found.get("pending_update") and _is_late(change):
        problem = "Your bank wants you to confirm the payment. Until you do, nothing changes."
        letters.change_stopped(_account(change), str(change.params.get("_plan")), problem)


def _is_late(change: StripeOperation) -> bool:
    """Tell whether an answer comes after a first attempt without one: nobody waits for it."""
    return change.attempts > 1 or bool(change.params.get("_late"))


def _account(change: StripeOperation) -> BillingAccount:
    account: BillingAccount = BillingAccount.objects.get(brand_id=change.brand_id)
    return account


def begin_taking_back(row: Subscription) -> StripeOperation:
    """Write the intent to void the invoice that a change waits for. In the scope."""
    params = {"_invoice": row.pending_invoice}
    return operations.begin_once(VOID, subject=row.pending_invoice, params=params)


def _look_asked(operation: StripeOperation) -> gateway.Object | None:
    """The newest invoice tells whether Stripe was asked, whatever became of it since."""
    asked = f"/v1/subscriptions/{operation.params['_subscription']}"
    found = gateway.get(asked, {"expand": ["latest_invoice"]})
    invoice = found.get("latest_invoice") or {}
    since = operation.params["proration_date"]
    of_a_change = invoice.get("billing_reason") == "subscription_update"
    return found if of_a_change and invoice["created"] >= since else None


def _look_voided(operation: StripeOperation) -> gateway.Object | None:
    found = gateway.get(f"/v1/invoices/{operation.params['_invoice']}")
    return found if found["status"] == "void" else None


ASK = operations.register(
    operations.Kind(
        "subscription.ask",
        "/v1/subscriptions/{_subscription}",
        _look_asked,
        effect=_tell_wait,
        refusal=tell_refusal,
        give_up_when_stale=True,
        line="_subscription",
    )
)
VOID = operations.register(
    operations.Kind("invoice.void", "/v1/invoices/{_invoice}/void", _look_voided)
)
