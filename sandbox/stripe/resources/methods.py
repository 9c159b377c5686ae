"""Payment methods: cards only. Attaching checks the card with its issuer."""

from datetime import UTC, datetime

from sandbox.stripe import cards
from sandbox.stripe.context import Tx
from sandbox.stripe.errors import CardError, StripeError
from sandbox.stripe.registry import Params, given, merge_metadata, page, route
from sandbox.stripe.store import Obj


@route("POST", "/v1/payment_methods")
def create(tx: Tx, params: Params) -> Obj:
    if params.get("type") != "card" or "card" not in params:
        raise StripeError("This sandbox has cards only.", param="type", code="parameter_missing")
    sent = params["card"]
    if "token" in sent:
        card = cards.by_token(sent["token"])
        if card is None:
            raise StripeError(
                f"No such token: '{sent['token']}'", code="resource_missing", param="card[token]"
            )
        method = from_card(tx, card)
    else:
        cards.check_expiry(sent["exp_month"], sent["exp_year"], tx.now)
        card = cards.by_number(sent["number"])
        method = from_card(tx, card, sent["exp_month"], sent["exp_year"])
    _describe(method, params)
    return method


@route("GET", "/v1/payment_methods/{payment_method}")
def retrieve(tx: Tx, params: Params, payment_method: str) -> Obj:
    return usable(tx, payment_method)


@route("POST", "/v1/payment_methods/{payment_method}")
def update(tx: Tx, params: Params, payment_method: str) -> Obj:
    method = tx.get("payment_method", payment_method)
    with tx.changing(method, "payment_method.updated"):
        _describe(method, params)
        for name in ("exp_month", "exp_year"):
            if name in params.get("card", {}):
                method["card"][name] = params["card"][name]
    return method


@route("GET", "/v1/payment_methods")
def index(tx: Tx, params: Params) -> Obj:
    equal = given(params, "customer", "type")
    return page(tx, "payment_method", params, "/v1/payment_methods", **equal)


@route("POST", "/v1/payment_methods/{payment_method}/attach")
def attach(tx: Tx, params: Params, payment_method: str) -> Obj:
    from sandbox.stripe.resources import customers

    if "customer" not in params:
        raise StripeError(
            "Missing required param: customer.", code="parameter_missing", param="customer"
        )
    customer = customers.existing(tx, params["customer"], "customer")
    return attach_to(tx, payment_method, customer)


@route("POST", "/v1/payment_methods/{payment_method}/detach")
def detach(tx: Tx, params: Params, payment_method: str) -> Obj:
    method = tx.get("payment_method", payment_method)
    if method["customer"] is None:
        raise StripeError(
            "The payment method you provided is not attached to a customer so detachment "
            "is impossible.",
        )
    customer = tx.get("customer", method["customer"])
    if customer["invoice_settings"]["default_payment_method"] == method["id"]:
        with tx.changing(customer, "customer.updated"):
            customer["invoice_settings"]["default_payment_method"] = None
    for using in tx.store.select("subscription", default_payment_method=method["id"]):
        with tx.changing(using, "customer.subscription.updated"):
            using["default_payment_method"] = None
    with tx.changing(method, "payment_method.detached"):
        method["customer"] = None
        method["_spent"] = True
    return method


def from_card(tx: Tx, card: cards.Card, month: int | None = None, year: int | None = None) -> Obj:
    """A new, unattached payment method for a test card."""
    wallet = tx.part(
        "payment_method_card",
        brand=card.brand,
        checks=tx.part("payment_method_card_checks", cvc_check="pass"),
        country="US",
        display_brand=card.brand,
        exp_month=month or 12,
        exp_year=year or datetime.fromtimestamp(tx.now, UTC).year + 4,
        fingerprint=cards.fingerprint(card.number),
        funding=card.funding,
        last4=card.number[-4:],
        networks={"available": [card.brand], "preferred": None},
        three_d_secure_usage={"supported": card.authentication is not None},
    )
    return tx.new(
        "payment_method",
        allow_redisplay="unspecified",
        billing_details=tx.part("billing_details"),
        card=wallet,
        metadata={},
        type="card",
        _number=card.number,
        _saved=False,
    )


def usable(tx: Tx, identifier: str, param: str | None = None) -> Obj:
    """The payment method with that id; a test id such as `pm_card_visa` gives a fresh one."""
    card = cards.by_token(identifier) if identifier.startswith("pm_card_") else None
    return from_card(tx, card) if card else tx.get("payment_method", identifier, param)


def attach_to(tx: Tx, identifier: str, customer: Obj) -> Obj:
    """Attaches, having the issuer check the card. Safe to repeat for the same customer."""
    method = usable(tx, identifier)
    if method["customer"] == customer["id"]:
        return method
    if method["customer"] is not None:
        raise StripeError(
            "The payment method you provided has already been attached to a customer.",
            code="payment_method_already_attached",
        )
    if method.get("_spent"):
        raise StripeError(
            "This PaymentMethod was previously used without being attached to a Customer or was "
            "detached from a Customer, and may not be used again.",
        )
    refuse_unsavable(method)
    return attached(tx, method, customer)


def attached(tx: Tx, method: Obj, customer: Obj) -> Obj:
    """Attaches a card that is known to be good, because it was just paid with."""
    if method["customer"] == customer["id"]:
        return method
    with tx.changing(method):
        method["customer"] = customer["id"]
    tx.emit("payment_method.attached", method)
    return method


def behaviour(method: Obj) -> cards.Card:
    return cards.by_number(method["_number"])


def refuse_unsavable(method: Obj) -> None:
    """`CardError` when the issuer refuses the card as soon as it is saved."""
    card = behaviour(method)
    if card.decline is not None and not card.saves:
        raise declined(card.decline)


def declined(decline: cards.Decline, **extra: object) -> CardError:
    return CardError(
        decline.message, code=decline.code, decline_code=decline.reason or decline.code, **extra
    )


def _describe(method: Obj, params: Params) -> None:
    details = params.get("billing_details", {})
    for name, value in details.items():
        method["billing_details"][name] = None if value == "" else value
    if isinstance(details.get("address"), dict):
        blank = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
        method["billing_details"]["address"] = blank | details["address"]
    if "allow_redisplay" in params:
        method["allow_redisplay"] = params["allow_redisplay"]
    merge_metadata(method, params)
