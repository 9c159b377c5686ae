"""Setup intents: save a card for later without charging it."""

from sandbox.stripe import cards
from sandbox.stripe.context import Tx, public
from sandbox.stripe.errors import CardError, StripeError
from sandbox.stripe.registry import Params, assign, given, merge_metadata, page, route
from sandbox.stripe.resources import customers, methods
from sandbox.stripe.store import Obj, token

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


@route("POST", "/v1/setup_intents")
def create(tx: Tx, params: Params) -> Obj:
    customer = params.get("customer")
    if customer is not None:
        customers.existing(tx, customer, "customer")
    intent = open_intent(tx, customer, usage=params.get("usage", "off_session"))
    assign(intent, params, "description")
    merge_metadata(intent, params)
    if "payment_method" in params:
        intent["payment_method"] = methods.usable(tx, params["payment_method"], "payment_method")[
            "id"
        ]
        intent["status"] = "requires_confirmation"
    tx.emit("setup_intent.created", intent)
    return confirm(tx, params, intent["id"]) if params.get("confirm") else intent


@route("GET", "/v1/setup_intents/{intent}")
def retrieve(tx: Tx, params: Params, intent: str) -> Obj:
    return tx.get("setup_intent", intent)


@route("POST", "/v1/setup_intents/{intent}")
def update(tx: Tx, params: Params, intent: str) -> Obj:
    obj = tx.get("setup_intent", intent)
    _require(obj, "updated")
    with tx.changing(obj):
        assign(obj, params, "description")
        if "customer" in params:
            obj["customer"] = customers.existing(tx, params["customer"], "customer")["id"]
        if "payment_method" in params:
            method = methods.usable(tx, params["payment_method"], "payment_method")
            obj |= {"payment_method": method["id"], "status": "requires_confirmation"}
        merge_metadata(obj, params)
    return obj


@route("GET", "/v1/setup_intents")
def index(tx: Tx, params: Params) -> Obj:
    equal = given(params, "customer", "payment_method")
    return page(tx, "setup_intent", params, "/v1/setup_intents", **equal)


@route("POST", "/v1/setup_intents/{intent}/confirm")
def confirm(tx: Tx, params: Params, intent: str) -> Obj:
    obj = tx.get("setup_intent", intent)
    _require(obj, "confirmed")
    chosen = params.get("payment_method") or obj["payment_method"]
    if chosen is None:
        raise StripeError(
            "You cannot confirm this SetupIntent because it's missing a payment method.",
            code="setup_intent_unexpected_state",
        )
    method = methods.usable(tx, chosen, "payment_method")
    error = attempt(tx, obj, method, return_url=params.get("return_url"))
    if error is not None:
        raise error
    return obj


@route("POST", "/v1/setup_intents/{intent}/cancel")
def cancel(tx: Tx, params: Params, intent: str) -> Obj:
    obj = tx.get("setup_intent", intent)
    _require(obj, "canceled")
    with tx.changing(obj):
        obj["status"] = "canceled"
        obj["cancellation_reason"] = params.get("cancellation_reason")
    tx.emit("setup_intent.canceled", obj)
    return obj


def open_intent(tx: Tx, customer: str | None, usage: str = "off_session") -> Obj:
    intent = tx.new(
        "setup_intent",
        customer=customer,
        metadata={},
        payment_method_options={"card": {"request_three_d_secure": "automatic"}},
        payment_method_types=["card"],
        status="requires_payment_method",
        usage=usage,
    )
    intent["client_secret"] = f"{intent['id']}_secret_{token(25)}"
    return intent


def attempt(
    tx: Tx, intent: Obj, method: Obj, *, authenticated: bool = False, return_url: str | None = None
) -> CardError | None:
    """Asks the issuer; saves the card with the customer when it agrees."""
    card = methods.behaviour(method)
    with tx.changing(intent):
        intent["payment_method"] = method["id"]
        intent["next_action"] = intent["last_setup_error"] = None
    if card.authentication and not authenticated:
        url = f"{tx.config.base_url}/3ds/{intent['id']}"
        with tx.changing(intent):
            intent["status"] = "requires_action"
            intent["next_action"] = {
                "type": "redirect_to_url",
                "redirect_to_url": {"url": url, "return_url": return_url},
            }
        tx.emit("setup_intent.requires_action", intent)
        return None
    if card.decline is not None and not card.saves:
        return _fail(tx, intent, method, card.decline)
    _succeed(tx, intent, method)
    return None


def authenticate(tx: Tx, intent: Obj, *, passed: bool) -> CardError | None:
    """The payer answered the bank's question."""
    method = tx.get("payment_method", intent["payment_method"])
    if passed:
        return attempt(tx, intent, method, authenticated=True)
    return _fail(tx, intent, method, cards.SETUP_AUTHENTICATION_FAILED)


def _succeed(tx: Tx, intent: Obj, method: Obj) -> None:
    with tx.changing(method):
        method["_saved"] = True
    with tx.changing(intent):
        intent["status"] = "succeeded"
    if intent["customer"]:
        methods.attached(tx, method, tx.get("customer", intent["customer"]))
    tx.emit("setup_intent.succeeded", intent)


def _fail(tx: Tx, intent: Obj, method: Obj, decline: cards.Decline) -> CardError:
    error = methods.declined(decline, payment_method=public(method))
    with tx.changing(intent):
        intent["status"] = "requires_payment_method"
        intent["payment_method"] = None
        intent["last_setup_error"] = dict(error.error)
    tx.emit("setup_intent.setup_failed", intent)
    error.error["setup_intent"] = public(intent)
    return error


def _require(intent: Obj, verb: str) -> None:
    if intent["status"] not in OPEN:
        raise StripeError(
            f"This SetupIntent could not be {verb} because it has a status of {intent['status']}.",
            code="setup_intent_unexpected_state",
            setup_intent=public(intent),
        )
