"""Invoices as documents and as debts: draft, finalize, collect, retry, give up.

amount_due is the total (documents.py) plus the customer's balance (negative: credit), never below
zero. Whoever cares about the outcome (a subscription) registers in PAID, FAILED or VOIDED, so that
nothing here knows about subscriptions.
"""

from collections.abc import Callable, Sequence

from sandbox.stripe import documents
from sandbox.stripe.context import Tx, listing
from sandbox.stripe.errors import CardError
from sandbox.stripe.periods import DAY
from sandbox.stripe.registry import on_timer
from sandbox.stripe.resources import balances, charges, intents
from sandbox.stripe.store import Obj

FINALIZE_AFTER = 3600
RETRY_AFTER_DAYS = (3, 5, 7)
PAID: list[Callable[[Tx, Obj], None]] = []
FAILED: list[Callable[[Tx, Obj], None]] = []
VOIDED: list[Callable[[Tx, Obj], None]] = []


def draft(
    tx: Tx, customer: Obj, lines: list[Obj], *, currency: str, reason: str, period: tuple[int, int],
    subscription: Obj | None = None, discounts: Sequence[str] = (),
) -> Obj:  # fmt: skip
    """A draft that holds the lines, dated now. Announced as `invoice.created`."""
    invoice = tx.new("invoice", **documents.blank(tx, customer, currency, reason, period))
    invoice |= {
        "discounts": list(discounts),
        "test_clock": customer["test_clock"],
        "lines": listing(lines, f"/v1/invoices/{invoice['id']}/lines"),
        "_hosted": f"{tx.config.base_url}/invoice/{invoice['id']}",
    }
    for row in lines:
        row["invoice"] = invoice["id"]
    if subscription is not None:
        _belongs(tx, invoice, subscription)
        invoice["automatic_tax"]["enabled"] = subscription["automatic_tax"]["enabled"]
    documents.add_up(tx, invoice)
    if customer["currency"] is None:
        with tx.changing(customer, "customer.updated"):
            customer["currency"] = currency
    tx.emit("invoice.created", invoice)
    return invoice


def finalize(tx: Tx, invoice: Obj) -> Obj:
    """Adds the draft up once more, numbers it, applies the customer's balance and opens the
    payment, when one is due. Tax that can't be known for want of an address is left off."""
    customer = tx.get("customer", invoice["customer"])
    tx.unschedule(invoice, "invoice.finalize")
    documents.add_up(tx, invoice)
    if invoice["automatic_tax"]["status"] == "requires_location_inputs":
        reason = "finalization_requires_location_inputs"
        invoice["automatic_tax"] |= {"enabled": False, "disabled_reason": reason}
    with tx.changing(customer, "customer.updated" if customer["balance"] else None):
        invoice["number"] = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
        customer["next_invoice_sequence"] += 1
        _apply_balance(tx, invoice, customer)
    with tx.changing(invoice):
        invoice |= {
            "automatically_finalizes_at": None,
            "effective_at": tx.now,
            "hosted_invoice_url": invoice["_hosted"],
            "invoice_pdf": f"{invoice['_hosted']}/pdf",
            "status": "open",
        }
        invoice["status_transitions"]["finalized_at"] = tx.now
    if invoice["amount_due"] > 0:
        _open_payment(tx, invoice)
    tx.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        settle(tx, invoice)
    return invoice


def collect(
    tx: Tx, invoice: Obj, method: Obj | None, *, off_session: bool = False, automatic: bool = True,
    return_url: str | None = None,
) -> CardError | None:  # fmt: skip
    """Tries to take what is due. Afterwards the invoice is paid, or still open with the next
    attempt planned; then the error says why (None while the payer must confirm)."""
    tx.unschedule(invoice, "invoice.collect")
    if method is None:
        _failed(tx, invoice, automatic=automatic)
        return CardError("This customer has no attached payment source", code="missing")
    intent = tx.get("payment_intent", payment_of(tx, invoice)["payment"]["payment_intent"])
    error = intents.attempt(tx, intent, method, off_session=off_session, return_url=return_url)
    if intent["status"] == "succeeded":
        settle(tx, invoice)
        return None
    if intent["status"] == "requires_action":
        tx.emit("invoice.payment_action_required", invoice)
    if error is not None or off_session or automatic:
        _failed(tx, invoice, automatic=automatic)
    return error


def settle(tx: Tx, invoice: Obj, *, out_of_band: bool = False) -> None:
    """The invoice is paid."""
    tx.unschedule(invoice)
    due = invoice["amount_due"]
    with tx.changing(invoice, "invoice.updated"):
        invoice |= {
            "amount_paid": 0 if out_of_band else due,
            "amount_paid_off_stripe": due if out_of_band else 0,
            "amount_remaining": 0,
            "attempted": True,
            "attempt_count": invoice["attempt_count"] + (due > 0 and not out_of_band),
            "auto_advance": False,
            "next_payment_attempt": None,
            "status": "paid",
        }
        invoice["status_transitions"]["paid_at"] = tx.now
    _settle_payment(tx, invoice, out_of_band=out_of_band)
    tx.emit("invoice.paid", invoice)
    tx.emit("invoice.payment_succeeded", invoice)
    for listener in PAID:
        listener(tx, invoice)


def stop_collecting(tx: Tx, invoice: Obj) -> None:
    """No automatic attempt any more: the subscription is gone or the schedule is exhausted."""
    tx.unschedule(invoice)
    with tx.changing(invoice, "invoice.updated"):
        invoice["auto_advance"] = False
        invoice["next_payment_attempt"] = None


def void(tx: Tx, invoice: Obj, *, status: str = "void") -> Obj:
    """Ends an open invoice without payment: `void` or `uncollectible`."""
    tx.unschedule(invoice)
    stamp = {"void": "voided_at", "uncollectible": "marked_uncollectible_at"}[status]
    with tx.changing(invoice, "invoice.updated"):
        invoice |= {"status": status, "auto_advance": False, "next_payment_attempt": None}
        invoice["status_transitions"][stamp] = tx.now
        if status == "void":
            invoice["amount_remaining"] = 0
            customer = tx.get("customer", invoice["customer"])
            with tx.changing(customer, "customer.updated"):
                _move_balance(tx, invoice, customer, "unapplied_from_invoice", back=True)
    if status == "void" and invoice["amount_due"] > 0:
        payment = payment_of(tx, invoice)
        with tx.changing(payment):
            payment["status"] = "canceled"
            payment["status_transitions"]["canceled_at"] = tx.now
        intents.void(
            tx, tx.get("payment_intent", payment["payment"]["payment_intent"]), "void_invoice"
        )
    tx.emit(
        {"void": "invoice.voided", "uncollectible": "invoice.marked_uncollectible"}[status], invoice
    )
    for listener in VOIDED if status == "void" else ():
        listener(tx, invoice)
    return invoice


def payment_of(tx: Tx, invoice: Obj) -> Obj:
    """The invoice's default payment, which ties it to its payment intent."""
    return tx.store.select("invoice_payment", invoice=invoice["id"], is_default=True)[0]


@on_timer("invoice.finalize")
def finalize_on_time(tx: Tx, invoice: Obj) -> None:
    """A draft turns into a debt an hour after it was made, and is collected at once."""
    if invoice["status"] == "draft":
        finalize(tx, invoice)
    if invoice["status"] == "open" and invoice["collection_method"] == "charge_automatically":
        collect(tx, invoice, method_for(tx, invoice), off_session=True)


@on_timer("invoice.collect")
def collect_on_time(tx: Tx, invoice: Obj) -> None:
    if invoice["status"] == "open":
        collect(tx, invoice, method_for(tx, invoice), off_session=True)


def method_for(tx: Tx, invoice: Obj) -> Obj | None:
    """The card to charge: the invoice's, its subscription's, the customer's default; or none."""
    customer = tx.get("customer", invoice["customer"])
    subscription = tx.store.find(invoice["_subscription"]) if invoice["_subscription"] else None
    for owner in (invoice, subscription or {}, customer["invoice_settings"]):
        chosen = owner.get("default_payment_method")
        if chosen:
            return tx.get("payment_method", chosen)
    return None


def _settle_invoice_of(tx: Tx, intent: Obj) -> None:
    """The payer confirmed (or not) the payment of an invoice."""
    invoice = tx.get("invoice", intent["_invoice"])
    if intent["status"] == "succeeded" and invoice["status"] == "open":
        settle(tx, invoice)
    elif intent["status"] == "requires_payment_method":
        _failed(tx, invoice, automatic=False)


intents.SETTLED["invoice"] = _settle_invoice_of


def _failed(tx: Tx, invoice: Obj, *, automatic: bool) -> None:
    """Counts the attempt and plans the next: after 3, 5 and 7 days, then never."""
    with tx.changing(invoice):
        invoice["attempted"] = True
        if automatic:
            invoice["attempt_count"] += 1
        tries = invoice["attempt_count"]
        again = invoice["auto_advance"] and 0 < tries <= len(RETRY_AFTER_DAYS)
        planned = tx.now + RETRY_AFTER_DAYS[tries - 1] * DAY if again else None
        invoice["next_payment_attempt"] = planned
    if planned is not None:
        tx.schedule(invoice, "invoice.collect", planned)
    tx.emit("invoice.payment_failed", invoice)
    for listener in FAILED:
        listener(tx, invoice)


def _apply_balance(tx: Tx, invoice: Obj, customer: Obj) -> None:
    left = invoice["total"] + customer["balance"]
    invoice["starting_balance"] = customer["balance"]
    invoice["ending_balance"] = min(left, 0)
    _move_balance(tx, invoice, customer, "applied_to_invoice", back=False)
    invoice["amount_due"] = invoice["amount_remaining"] = max(left, 0)


def _move_balance(tx: Tx, invoice: Obj, customer: Obj, kind: str, *, back: bool) -> None:
    moved = invoice["ending_balance"] - invoice["starting_balance"]
    if moved:
        amount = -moved if back else moved
        balances.move(tx, customer, amount, kind, invoice["currency"], invoice["id"])


def _open_payment(tx: Tx, invoice: Obj) -> None:
    future = "off_session" if invoice["_subscription"] else None
    intent = intents.open_intent(
        tx, invoice["amount_due"], invoice["currency"], invoice["customer"],
        description=None, setup_future_usage=future, _owner="invoice", _invoice=invoice["id"],
    )  # fmt: skip
    if invoice["_subscription"]:
        created = invoice["billing_reason"] == "subscription_create"
        intent["description"] = "Subscription creation" if created else "Subscription update"
    tx.emit("payment_intent.created", intent)
    tx.new(
        "invoice_payment",
        amount_requested=invoice["amount_due"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        payment={"type": "payment_intent", "payment_intent": intent["id"]},
        status="open",
        status_transitions={"canceled_at": None, "paid_at": None},
    )


def _settle_payment(tx: Tx, invoice: Obj, *, out_of_band: bool) -> None:
    if invoice["amount_due"] == 0:
        return
    payment = payment_of(tx, invoice)
    intent = tx.get("payment_intent", payment["payment"]["payment_intent"])
    with tx.changing(payment):
        payment["status"] = "canceled" if out_of_band else "paid"
        stamp = "canceled_at" if out_of_band else "paid_at"
        payment["status_transitions"][stamp] = tx.now
        if not out_of_band:
            payment["amount_paid"] = invoice["amount_due"]
    if out_of_band:
        intents.void(tx, intent, "requested_by_customer")
    else:
        charges.attach_receipt(tx, intent, invoice)
        tx.emit("invoice_payment.paid", payment)


def _belongs(tx: Tx, invoice: Obj, subscription: Obj) -> None:
    details = {"subscription": subscription["id"], "metadata": dict(subscription["metadata"])}
    invoice["parent"] = {
        "type": "subscription_details",
        "subscription_details": details,
        "quote_details": None,
    }
    invoice["_subscription"] = subscription["id"]
    invoice["collection_method"] = subscription["collection_method"]
    if subscription["collection_method"] == "send_invoice":
        invoice["due_date"] = tx.now + (subscription["days_until_due"] or 0) * DAY
