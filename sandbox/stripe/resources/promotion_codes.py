"""Promotion codes: what a customer types to get a coupon. No two active ones spell alike."""

from sandbox.stripe import discounts
from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError
from sandbox.stripe.registry import (
    Params,
    given,
    includable,
    merge_metadata,
    on_timer,
    page,
    route,
)
from sandbox.stripe.resources import customers
from sandbox.stripe.store import Obj, token


@route("POST", "/v1/promotion_codes")
def create(tx: Tx, params: Params) -> Obj:
    if "coupon" not in params["promotion"]:
        raise StripeError(
            "Missing required param: promotion[coupon].",
            code="parameter_missing",
            param="promotion[coupon]",
        )
    coupon = discounts.existing(tx, params["promotion"]["coupon"], "promotion[coupon]")
    if not coupon["valid"]:
        raise StripeError(f"Coupon expired: {coupon['id']}", code="coupon_expired")
    if "customer" in params:
        customers.existing(tx, params["customer"], "customer")
    word = params.get("code") or token(8).upper()
    _check_free(tx, word)
    sent = params.get("restrictions", {})
    names = ("minimum_amount", "minimum_amount_currency")
    obj = tx.new(
        "promotion_code",
        active=params.get("active", True),
        code=word,
        customer=params.get("customer"),
        expires_at=params.get("expires_at"),
        max_redemptions=params.get("max_redemptions"),
        metadata={},
        promotion={"type": "coupon", "coupon": coupon["id"]},
        restrictions={
            "first_time_transaction": sent.get("first_time_transaction", False),
            **{name: sent.get(name) for name in names},
            "_minimums": sent.get("currency_options", {}),
        },
        times_redeemed=0,
        _spelled=word.upper(),
    )
    merge_metadata(obj, params)
    if obj["expires_at"] is not None:
        tx.schedule(obj, "promotion_code.expire", obj["expires_at"])
    tx.emit("promotion_code.created", obj)
    return obj


@route("GET", "/v1/promotion_codes/{promotion_code}")
def retrieve(tx: Tx, params: Params, promotion_code: str) -> Obj:
    return tx.get("promotion_code", promotion_code)


@route("POST", "/v1/promotion_codes/{promotion_code}")
def update(tx: Tx, params: Params, promotion_code: str) -> Obj:
    obj = tx.get("promotion_code", promotion_code)
    if params.get("active") and not obj["active"]:
        _check_free(tx, obj["code"])
        if not _redeemable(tx, obj):
            raise StripeError("This promotion code can't be made active again.", param="active")
    with tx.changing(obj, "promotion_code.updated"):
        obj["active"] = params.get("active", obj["active"])
        minimums = params.get("restrictions", {}).get("currency_options", {})
        obj["restrictions"]["_minimums"] |= minimums
        merge_metadata(obj, params)
    return obj


@route("GET", "/v1/promotion_codes")
def index(tx: Tx, params: Params) -> Obj:
    equal = given(params, "active", "customer")
    if "coupon" in params:
        equal["promotion.coupon"] = params["coupon"]
    if "code" in params:
        equal["_spelled"] = params["code"].upper()
    return page(tx, "promotion_code", params, "/v1/promotion_codes", **equal)


@includable("", "currency_options")
def currency_options(tx: Tx, restrictions: Obj) -> Obj:
    """A promotion code's minimum amounts, that of its own currency too."""
    own = restrictions["minimum_amount_currency"]
    first = {own: {"minimum_amount": restrictions["minimum_amount"]}} if own else {}
    return {**first, **restrictions["_minimums"]}


@on_timer("promotion_code.expire")
def expire(tx: Tx, code: Obj) -> None:
    judge(tx, code)


def judge(tx: Tx, code: Obj) -> None:
    """Ends a code that can't be redeemed any more."""
    if code["active"] and not _redeemable(tx, code):
        with tx.changing(code, "promotion_code.updated"):
            code["active"] = False


def by_word(tx: Tx, word: str) -> Obj | None:
    """The active code that is spelled so; case doesn't matter."""
    found = tx.store.select("promotion_code", _spelled=word.strip().upper(), active=True)
    return found[0] if found else None


def _redeemable(tx: Tx, code: Obj) -> bool:
    limit, until = code["max_redemptions"], code["expires_at"]
    return bool(
        tx.get("coupon", code["promotion"]["coupon"])["valid"]
        and (limit is None or code["times_redeemed"] < limit)
        and (until is None or tx.now < until)
    )


def _check_free(tx: Tx, word: str) -> None:
    if by_word(tx, word) is not None:
        raise StripeError(
            f"An active promotion code with `code: {word}` already exists.", param="code"
        )
