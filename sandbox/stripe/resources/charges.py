"""Charges and the balance transactions under them: what one attempt did to the money."""

from decimal import Decimal

from sandbox.stripe.cards import Decline
from sandbox.stripe.context import Tx, listing
from sandbox.stripe.money import exponent, whole
from sandbox.stripe.periods import DAY
from sandbox.stripe.registry import (
    Params,
    assign,
    given,
    includable,
    merge_metadata,
    page,
    route,
)
from sandbox.stripe.store import Obj


@route("GET", "/v1/charges/{charge}")
def retrieve(tx: Tx, params: Params, charge: str) -> Obj:
    return tx.get("charge", charge)


@route("POST", "/v1/charges/{charge}")
def update(tx: Tx, params: Params, charge: str) -> Obj:
    obj = tx.get("charge", charge)
    with tx.changing(obj, "charge.updated"):
        assign(obj, params, "description", "receipt_email")
        merge_metadata(obj, params)
    return obj


@route("GET", "/v1/charges")
def index(tx: Tx, params: Params) -> Obj:
    return page(tx, "charge", params, "/v1/charges", **given(params, "customer", "payment_intent"))


@route("GET", "/v1/balance_transactions/{id}")
def retrieve_balance_transaction(tx: Tx, params: Params, transaction: str) -> Obj:
    return tx.get("balance_transaction", transaction)


@route("GET", "/v1/balance_transactions")
def index_balance_transactions(tx: Tx, params: Params) -> Obj:
    equal = given(params, "currency", "source", "type")
    return page(tx, "balance_transaction", params, "/v1/balance_transactions", **equal)


@includable("charge", "refunds")
def refunds(tx: Tx, charge: Obj) -> Obj:
    rows = tx.store.select("refund", charge=charge["id"])[::-1]
    return listing(rows, f"/v1/charges/{charge['id']}/refunds")


def succeed(tx: Tx, intent: Obj, method: Obj) -> Obj:
    charge = _charge(tx, intent, method)
    fee = (
        whole(Decimal(charge["amount"]) * 29 / 1000)
        + 30 * 10 ** exponent(charge["currency"]) // 100
    )
    transaction = move(tx, charge, charge["amount"], "charge", fee=fee)
    charge |= {
        "amount_captured": charge["amount"],
        "balance_transaction": transaction["id"],
        "captured": True,
        "outcome": tx.part(
            "charge_outcome",
            network_status="approved_by_network",
            risk_level="normal",
            seller_message="Payment complete.",
            type="authorized",
        ),
        "paid": True,
        "receipt_url": f"{tx.config.base_url}/receipts/{charge['id']}",
        "status": "succeeded",
    }
    tx.emit("charge.succeeded", charge)
    return charge


def fail(tx: Tx, intent: Obj, method: Obj, decline: Decline) -> Obj:
    charge = _charge(tx, intent, method)
    charge |= {
        "failure_code": decline.code,
        "failure_message": decline.message,
        "outcome": tx.part(
            "charge_outcome",
            network_status="declined_by_network",
            reason=decline.reason or decline.code,
            risk_level="normal",
            seller_message="The bank did not return any further details with this decline.",
            type="issuer_declined",
        ),
    }
    tx.emit("charge.failed", charge)
    return charge


def attach_receipt(tx: Tx, intent: Obj, invoice: Obj) -> None:
    """Numbers the receipt of an invoice's charge."""
    charge = tx.get("charge", intent["latest_charge"])
    with tx.changing(charge):
        charge["receipt_number"] = invoice["number"]


def move(tx: Tx, source: Obj, amount: int, kind: str, fee: int = 0) -> Obj:
    """Writes a movement of the balance: `amount` is negative for money going out."""
    currency = source["currency"]
    details = {
        "amount": fee,
        "application": None,
        "currency": currency,
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    }
    return tx.new(
        "balance_transaction",
        amount=amount,
        available_on=(tx.now // DAY + 3) * DAY,
        balance_type="payments",
        currency=currency,
        description=source.get("description"),
        fee=fee,
        fee_details=[details] if fee else [],
        net=amount - fee,
        reporting_category=kind,
        source=source["id"],
        status="pending",
        type=kind,
    )


def _charge(tx: Tx, intent: Obj, method: Obj) -> Obj:
    card = method["card"]
    known = {name: card[name] for name in ("brand", "country", "exp_month", "exp_year")}
    more = {name: card[name] for name in ("fingerprint", "funding", "last4")}
    details = tx.part(
        "payment_method_details_card",
        **(known | more),
        amount_authorized=intent["amount"],
        checks=tx.part("payment_method_details_card_checks", cvc_check="pass"),
        network=card["brand"],
    )
    fields = {name: intent[name] for name in ("amount", "currency", "customer", "description")}
    return tx.new(
        "charge",
        **fields,
        amount_captured=0,
        amount_refunded=0,
        billing_details=method["billing_details"],
        captured=False,
        disputed=False,
        fraud_details={},
        metadata=dict(intent["metadata"]),
        paid=False,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details={"type": "card", "card": details},
        refunded=False,
        status="failed",
        calculated_statement_descriptor="HARBOR",
    )
