"""Refunds, whole or in part. What was refunded never exceeds what was captured."""

from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError
from sandbox.stripe.money import display
from sandbox.stripe.registry import Params, given, merge_metadata, page, route
from sandbox.stripe.resources import charges
from sandbox.stripe.store import Obj


@route("POST", "/v1/refunds")
def create(tx: Tx, params: Params) -> Obj:
    charge = _charge(tx, params)
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["refunded"] or left == 0:
        raise StripeError(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    amount = params.get("amount", left)
    _check_amount(charge, amount, left)
    refund = tx.new(
        "refund",
        amount=amount,
        charge=charge["id"],
        currency=charge["currency"],
        destination_details={
            "type": "card",
            "card": {
                "type": "refund",
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
            },
        },
        metadata={},
        payment_intent=charge["payment_intent"],
        payment_method=charge["payment_method"],
        customer=charge["customer"],
        reason=params.get("reason"),
        status="succeeded",
    )
    merge_metadata(refund, params)
    refund["balance_transaction"] = charges.move(tx, refund, -amount, "refund")["id"]
    with tx.changing(charge, "charge.refunded"):
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    tx.emit("refund.created", refund)
    tx.emit("charge.refund.updated", refund)
    return refund


@route("GET", "/v1/refunds/{refund}")
def retrieve(tx: Tx, params: Params, refund: str) -> Obj:
    return tx.get("refund", refund)


@route("POST", "/v1/refunds/{refund}")
def update(tx: Tx, params: Params, refund: str) -> Obj:
    obj = tx.get("refund", refund)
    with tx.changing(obj, "refund.updated"):
        merge_metadata(obj, params)
    return obj


@route("GET", "/v1/refunds")
def index(tx: Tx, params: Params) -> Obj:
    return page(tx, "refund", params, "/v1/refunds", **given(params, "charge", "payment_intent"))


@route("GET", "/v1/charges/{charge}/refunds")
def index_of_charge(tx: Tx, params: Params, charge: str) -> Obj:
    tx.get("charge", charge)
    return page(tx, "refund", params, f"/v1/charges/{charge}/refunds", charge=charge)


def _charge(tx: Tx, params: Params) -> Obj:
    if "charge" in params:
        charge = tx.get("charge", params["charge"], "charge")
    elif "payment_intent" in params:
        intent = tx.get("payment_intent", params["payment_intent"], "payment_intent")
        if intent["status"] != "succeeded":
            raise StripeError(
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                param="payment_intent",
            )
        charge = tx.get("charge", intent["latest_charge"])
    else:
        raise StripeError(
            "One of the following params should be provided for this request: payment_intent or "
            "charge.",
            code="parameter_missing",
        )
    if charge["status"] != "succeeded":
        raise StripeError(f"Charge {charge['id']} failed, so it can't be refunded.", param="charge")
    return charge


def _check_amount(charge: Obj, amount: int, left: int) -> None:
    if amount < 1:
        raise StripeError(
            "Invalid positive integer", code="parameter_invalid_integer", param="amount"
        )
    if amount > left:
        asked, rest = (display(value, charge["currency"]) for value in (amount, left))
        raise StripeError(
            f"Refund amount ({asked}) is greater than unrefunded amount on charge ({rest})",
            param="amount",
        )
