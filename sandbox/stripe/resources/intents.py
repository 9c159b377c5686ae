"""Payment intents: one attempt after another to take one amount, and what each leaves behind."""

from collections.abc import Callable

from sandbox.stripe import cards
from sandbox.stripe.context import Tx, public
from sandbox.stripe.errors import CardError, StripeError
from sandbox.stripe.registry import Params, assign, given, merge_metadata, page, route
from sandbox.stripe.resources import charges, customers, methods
from sandbox.stripe.store import Obj, token

# Who is told when an intent that belongs to something (an invoice, a session) settles later.
SETTLED: dict[str, Callable[[Tx, Obj], None]] = {}
CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")


@route("POST", "/v1/payment_intents")
def create(tx: Tx, params: Params) -> Obj:
    if params["amount"] < 1:
        raise StripeError(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param="amount",
        )
    if params.get("capture_method", "automatic") == "manual":
        raise StripeError("This sandbox captures at once.", param="capture_method")
    customer = params.get("customer")
    if customer is not None:
        customers.existing(tx, customer, "customer")
    intent = open_intent(tx, params["amount"], params["currency"], customer)
    assign(intent, params, "description", "receipt_email", "setup_future_usage")
    merge_metadata(intent, params)
    if "payment_method" in params:
        intent["payment_method"] = methods.usable(tx, params["payment_method"], "payment_method")[
            "id"
        ]
        intent["status"] = "requires_confirmation"
    tx.emit("payment_intent.created", intent)
    return confirm(tx, params, intent["id"]) if params.get("confirm") else intent


@route("GET", "/v1/payment_intents/{intent}")
def retrieve(tx: Tx, params: Params, intent: str) -> Obj:
    return tx.get("payment_intent", intent)


@route("POST", "/v1/payment_intents/{intent}")
def update(tx: Tx, params: Params, intent: str) -> Obj:
    obj = tx.get("payment_intent", intent)
    if obj["status"] not in CONFIRMABLE and set(params) - {"metadata", "description", "expand"}:
        raise _unexpected_state(obj, "updated")
    with tx.changing(obj):
        assign(obj, params, "amount", "customer", "description", "receipt_email")
        if "payment_method" in params:
            obj["payment_method"] = methods.usable(tx, params["payment_method"], "payment_method")[
                "id"
            ]
            obj["status"] = "requires_confirmation"
        merge_metadata(obj, params)
    return obj


@route("GET", "/v1/payment_intents")
def index(tx: Tx, params: Params) -> Obj:
    return page(tx, "payment_intent", params, "/v1/payment_intents", **given(params, "customer"))


@route("POST", "/v1/payment_intents/{intent}/confirm")
def confirm(tx: Tx, params: Params, intent: str) -> Obj:
    obj = tx.get("payment_intent", intent)
    if obj["status"] not in CONFIRMABLE:
        raise _unexpected_state(obj, "confirmed")
    chosen = params.get("payment_method") or obj["payment_method"]
    if chosen is None:
        raise StripeError(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    method = methods.usable(tx, chosen, "payment_method")
    off_session = bool(params.get("off_session"))
    error = attempt(tx, obj, method, off_session=off_session, return_url=params.get("return_url"))
    _tell_owner(tx, obj)
    if error is not None:
        raise error
    return obj


@route("POST", "/v1/payment_intents/{intent}/cancel")
def cancel(tx: Tx, params: Params, intent: str) -> Obj:
    obj = tx.get("payment_intent", intent)
    if obj["status"] not in (*CONFIRMABLE, "requires_capture"):
        raise _unexpected_state(obj, "canceled")
    return void(tx, obj, params.get("cancellation_reason"))


def open_intent(tx: Tx, amount: int, currency: str, customer: str | None, **fields: object) -> Obj:
    """A new intent that waits for a payment method. Tells nobody yet."""
    intent = tx.new(
        "payment_intent",
        amount=amount,
        amount_capturable=0,
        amount_received=0,
        capture_method="automatic",
        confirmation_method="automatic",
        currency=currency,
        customer=customer,
        metadata={},
        payment_method_options={"card": {"request_three_d_secure": "automatic"}},
        payment_method_types=["card"],
        status="requires_payment_method",
        **fields,
    )
    intent["client_secret"] = f"{intent['id']}_secret_{token(25)}"
    return intent


def attempt(
    tx: Tx, intent: Obj, method: Obj, *, off_session: bool = False, authenticated: bool = False,
    return_url: str | None = None,
) -> CardError | None:  # fmt: skip
    """Tries to take the amount. Afterwards the intent succeeded, waits for the payer
    (requires_action), or waits for another card: then the error says why."""
    card = methods.behaviour(method)
    with tx.changing(intent):
        intent["payment_method"] = method["id"]
        intent["next_action"] = intent["last_payment_error"] = None
    saved = card.authentication == "setup" and method["_saved"]
    if card.authentication and not authenticated and not saved:
        if not off_session:
            _require_action(tx, intent, return_url)
            return None
        return _fail(tx, intent, method, cards.AUTHENTICATION_REQUIRED)
    if card.decline is not None:
        return _fail(tx, intent, method, card.decline)
    _succeed(tx, intent, method)
    return None


def authenticate(tx: Tx, intent: Obj, *, passed: bool) -> CardError | None:
    """The payer answered the bank's question. Tells whoever the intent belongs to."""
    method = tx.get("payment_method", intent["payment_method"])
    if passed:
        error = attempt(tx, intent, method, authenticated=True)
    else:
        error = _fail(tx, intent, method, cards.AUTHENTICATION_FAILED)
    _tell_owner(tx, intent)
    return error


def void(tx: Tx, intent: Obj, reason: str | None) -> Obj:
    with tx.changing(intent):
        intent["status"] = "canceled"
        intent["canceled_at"] = tx.now
        intent["cancellation_reason"] = reason
        intent["next_action"] = None
    tx.emit("payment_intent.canceled", intent)
    return intent


def _tell_owner(tx: Tx, intent: Obj) -> None:
    owner = SETTLED.get(intent.get("_owner", ""))
    if owner is not None:
        owner(tx, intent)


def _succeed(tx: Tx, intent: Obj, method: Obj) -> None:
    charge = charges.succeed(tx, intent, method)
    with tx.changing(intent):
        intent["latest_charge"] = charge["id"]
        intent["amount_received"] = intent["amount"]
        intent["status"] = "succeeded"
    with tx.changing(method):
        method["_saved"] = method["_saved"] or intent["setup_future_usage"] == "off_session"
    if intent["customer"] and intent["setup_future_usage"]:
        methods.attached(tx, method, tx.get("customer", intent["customer"]))
    tx.emit("payment_intent.succeeded", intent)


def _fail(tx: Tx, intent: Obj, method: Obj, decline: cards.Decline) -> CardError:
    charge = charges.fail(tx, intent, method, decline)
    error = methods.declined(decline, charge=charge["id"], payment_method=public(method))
    with tx.changing(intent):
        intent["latest_charge"] = charge["id"]
        intent["status"] = "requires_payment_method"
        intent["payment_method"] = None
        intent["last_payment_error"] = dict(error.error)
    tx.emit("payment_intent.payment_failed", intent)
    error.error["payment_intent"] = public(intent)
    return error


def _require_action(tx: Tx, intent: Obj, return_url: str | None) -> None:
    page_url = f"{tx.config.base_url}/3ds/{intent['id']}"
    with tx.changing(intent):
        intent["status"] = "requires_action"
        intent["next_action"] = (
            {
                "type": "redirect_to_url",
                "redirect_to_url": {"url": page_url, "return_url": return_url},
            }
            if return_url
            else {
                "type": "use_stripe_sdk",
                "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": page_url},
            }
        )
    tx.emit("payment_intent.requires_action", intent)


def _unexpected_state(intent: Obj, verb: str) -> StripeError:
    return StripeError(
        f"This PaymentIntent could not be {verb} because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
        payment_intent=public(intent),
    )
