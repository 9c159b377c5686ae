"""What an invoice would say, without making it: the real code runs, and is then undone.

So a preview can't differ from what it previews.
"""

from collections.abc import Callable
from dataclasses import replace

from sandbox.stripe import lifecycle
from sandbox.stripe.context import Tx, public
from sandbox.stripe.errors import StripeError
from sandbox.stripe.store import Obj, token


def upcoming(tx: Tx, subscription: Obj) -> Obj:
    """The invoice of the next renewal. Raises `invoice_upcoming_none` when there will be none."""
    identifier = subscription["id"]
    turn = lifecycle.next_turn(subscription)
    ends = subscription["cancel_at"] is not None and subscription["cancel_at"] <= turn
    if subscription["status"] in lifecycle.ENDED or ends:
        raise nothing(subscription)

    def renewal(later: Tx) -> Obj:
        copy = later.get("subscription", identifier)
        lifecycle.renew(later, copy)
        return later.get("invoice", copy["latest_invoice"])

    return imagined(replace(tx, now=turn, events=[]), renewal)


def nothing(subscription: Obj) -> StripeError:
    return StripeError(
        f"No upcoming invoices for customer: {subscription['customer']}",
        code="invoice_upcoming_none",
        status=404,
    )


def imagined(tx: Tx, change: Callable[[Tx], Obj]) -> Obj:
    """The invoice that `change` makes, as a preview; nothing of it stays."""
    with tx.store.discarded():
        invoice: Obj = public(change(tx))
        balance = tx.get("customer", invoice["customer"])["balance"]
    if invoice["status"] == "draft":  # a draft has yet to meet the balance
        due = max(invoice["total"] + balance, 0)
        invoice |= {"starting_balance": balance, "amount_due": due, "amount_remaining": due}
    identifier = f"upcoming_in_{token(24)}"
    invoice |= {
        "id": identifier,
        "billing_reason": "upcoming",
        "automatically_finalizes_at": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "number": None,
        "status": "draft",
    }
    invoice["lines"]["url"] = f"/v1/invoices/{identifier}/lines"
    for line in invoice["lines"]["data"]:
        line["invoice"] = identifier
    return invoice
