"""Coupons. A deleted one still counts for the discounts that it was redeemed into."""

import sqlite3

from sandbox.stripe import discounts
from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError
from sandbox.stripe.registry import Params, includable, merge_metadata, on_timer, page, route
from sandbox.stripe.store import Obj, token


@route("POST", "/v1/coupons")
def create(tx: Tx, params: Params) -> Obj:
    _check(params)
    for product in params.get("applies_to", {}).get("products", ()):
        tx.get("product", product, "applies_to[products]")
    try:
        coupon = tx.new(
            "coupon",
            id=params.get("id") or token(8).upper(),
            amount_off=params.get("amount_off"),
            currency=params.get("currency") if "amount_off" in params else None,
            duration=params.get("duration", "once"),
            duration_in_months=params.get("duration_in_months"),
            max_redemptions=params.get("max_redemptions"),
            metadata={},
            name=params.get("name"),
            percent_off=params.get("percent_off"),
            redeem_by=params.get("redeem_by"),
            times_redeemed=0,
            valid=True,
            _currency_options=params.get("currency_options", {}),
            _products=params.get("applies_to", {}).get("products"),
        )
    except sqlite3.IntegrityError as error:
        message = "Coupon already exists."
        raise StripeError(message, code="resource_already_exists", param="id") from error
    merge_metadata(coupon, params)
    if coupon["redeem_by"] is not None:
        tx.schedule(coupon, "coupon.expire", coupon["redeem_by"])
    tx.emit("coupon.created", coupon)
    return coupon


@route("GET", "/v1/coupons/{coupon}")
def retrieve(tx: Tx, params: Params, coupon: str) -> Obj:
    return discounts.existing(tx, coupon)


@route("POST", "/v1/coupons/{coupon}")
def update(tx: Tx, params: Params, coupon: str) -> Obj:
    obj = discounts.existing(tx, coupon)
    with tx.changing(obj, "coupon.updated"):
        obj["name"] = params.get("name", obj["name"]) or None
        obj["_currency_options"] |= params.get("currency_options", {})
        merge_metadata(obj, params)
    return obj


@route("DELETE", "/v1/coupons/{coupon}")
def delete(tx: Tx, params: Params, coupon: str) -> Obj:
    obj = discounts.existing(tx, coupon)
    tx.emit("coupon.deleted", obj)
    obj["_deleted"] = True
    tx.store.save(obj)
    judge(tx, obj)
    return {"id": coupon, "object": "coupon", "deleted": True}


@route("GET", "/v1/coupons")
def index(tx: Tx, params: Params) -> Obj:
    return page(tx, "coupon", params, "/v1/coupons", _deleted=None)


@includable("coupon", "applies_to")
def applies_to(tx: Tx, coupon: Obj) -> Obj | None:
    return None if coupon["_products"] is None else {"products": coupon["_products"]}


@includable("coupon", "currency_options")
def currency_options(tx: Tx, coupon: Obj) -> Obj | None:
    if coupon["currency"] is None:
        return None
    own: Obj = {"amount_off": coupon["amount_off"]}
    return {coupon["currency"]: own, **coupon["_currency_options"]}


@on_timer("coupon.expire")
def expire(tx: Tx, coupon: Obj) -> None:
    judge(tx, coupon)


def judge(tx: Tx, coupon: Obj) -> None:
    """Sets whether it can still be redeemed; its codes end with it."""
    from sandbox.stripe.resources import promotion_codes

    limit, until = coupon["max_redemptions"], coupon["redeem_by"]
    with tx.changing(coupon):
        coupon["valid"] = (
            not coupon.get("_deleted")
            and (limit is None or coupon["times_redeemed"] < limit)
            and (until is None or tx.now < until)
        )
    if not coupon["valid"]:
        for code in tx.store.select("promotion_code", active=True):
            if code["promotion"]["coupon"] == coupon["id"]:
                promotion_codes.judge(tx, code)


def _check(params: Params) -> None:
    percent, amount = params.get("percent_off"), params.get("amount_off")
    if (percent is None) == (amount is None):
        raise StripeError("You must pass either `percent_off` or `amount_off`, and not both.")
    if percent is not None and not 0 < percent <= 100:
        raise StripeError("Invalid percent_off: must be in (0, 100].", param="percent_off")
    if amount is not None and amount < 1:
        raise StripeError(
            "Invalid positive integer", code="parameter_invalid_integer", param="amount_off"
        )
    if amount is not None and "currency" not in params:
        raise StripeError(
            "You must pass `currency` when passing `amount_off`.",
            code="parameter_missing",
            param="currency",
        )
    months = params.get("duration_in_months")
    if (params.get("duration", "once") == "repeating") != (months is not None):
        raise StripeError(
            "`duration_in_months` is required for a `repeating` coupon, and only for that.",
            param="duration_in_months",
        )
    for name in ("max_redemptions", "duration_in_months"):
        if params.get(name, 1) < 1:
            raise StripeError(
                "Invalid positive integer", code="parameter_invalid_integer", param=name
            )
