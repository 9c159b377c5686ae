"""Discounts: a coupon at work on a subscription, from its redemption to its end.

`forever` stays, `repeating` stays for its months, `once` goes with the first invoice that it takes
something off. A coupon that may not be redeemed is refused here, whoever asks.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError
from sandbox.stripe.money import display
from sandbox.stripe.periods import boundary
from sandbox.stripe.rating import Discount
from sandbox.stripe.store import Obj, new_id


def chosen(
    tx: Tx, entries: Sequence[Obj], *, customer: Obj | None, currency: str, subtotal: int
) -> list[Obj]:
    """The new discounts that the entries ask for, checked and not yet stored or counted."""
    made = []
    for position, entry in enumerate(entries):
        param = f"discounts[{position}]"
        if "promotion_code" in entry:
            code = tx.get("promotion_code", entry["promotion_code"], f"{param}[promotion_code]")
            check_code(tx, code, customer=customer, currency=currency, subtotal=subtotal)
            coupon = tx.get("coupon", code["promotion"]["coupon"])
            made.append(_new(tx, coupon, currency, param, promotion_code=code["id"]))
        elif "coupon" in entry:
            param = f"{param}[coupon]"
            coupon = existing(tx, entry["coupon"], param)
            made.append(_new(tx, coupon, currency, param, promotion_code=None))
        else:
            raise StripeError("Each discount needs a `coupon` or a `promotion_code`.", param=param)
    return made


def redeem(tx: Tx, subscription: Obj, entries: Sequence[Obj], subtotal: int) -> None:
    """Makes the entries the subscription's discounts; those it has may be named to stay."""
    kept = [entry["discount"] for entry in entries if "discount" in entry]
    for identifier in kept:
        if identifier not in subscription["discounts"]:
            raise StripeError(f"No such discount: '{identifier}'", code="resource_missing")
    fresh = chosen(
        tx,
        [entry for entry in entries if "discount" not in entry],
        customer=tx.get("customer", subscription["customer"]),
        currency=subscription["currency"],
        subtotal=subtotal,
    )
    drop(tx, subscription, lambda discount: discount["id"] not in kept)
    for discount in fresh:
        discount |= {"customer": subscription["customer"], "subscription": subscription["id"]}
        tx.store.add(discount)
        _count(tx, discount)
        tx.emit("customer.discount.created", discount)
    subscription["discounts"] = kept + [discount["id"] for discount in fresh]


def current(tx: Tx, subscription: Obj) -> list[Obj]:
    """The discounts in force now; those whose months are over are taken away."""
    drop(tx, subscription, lambda d: d["end"] is not None and d["end"] <= tx.now)
    return [tx.get("discount", identifier) for identifier in subscription["discounts"]]


def use_up(tx: Tx, subscription: Obj, invoice: Obj) -> None:
    """A `once` coupon is done when the invoice got something off by it."""
    used = {e["discount"] for e in invoice["total_discount_amounts"] if e["amount"] > 0}
    drop(tx, subscription, lambda d: d["id"] in used and _coupon(tx, d)["duration"] == "once")


def drop(tx: Tx, subscription: Obj, done: Callable[[Obj], bool]) -> None:
    for discount in [tx.get("discount", held) for held in subscription["discounts"]]:
        if done(discount):
            subscription["discounts"].remove(discount["id"])
            tx.emit("customer.discount.deleted", discount)


def effect(tx: Tx, discount: Obj, currency: str) -> Discount:
    coupon = _coupon(tx, discount)
    products = coupon["_products"]
    return Discount(
        id=discount["id"],
        percent=None if coupon["percent_off"] is None else Decimal(str(coupon["percent_off"])),
        amount=amount_off(coupon, currency) or 0,
        products=None if products is None else frozenset(products),
    )


def lasting(tx: Tx, found: Sequence[Obj]) -> list[Obj]:
    """Without the `once` ones, which belong to one whole invoice."""
    return [discount for discount in found if _coupon(tx, discount)["duration"] != "once"]


def amount_off(coupon: Obj, currency: str) -> int | None:
    if coupon["currency"] == currency:
        return int(coupon["amount_off"])
    option = coupon["_currency_options"].get(currency)
    return None if option is None else int(option["amount_off"])


def existing(tx: Tx, identifier: str, param: str | None = None) -> Obj:
    """The coupon, which must not be deleted."""
    coupon = tx.get("coupon", identifier, param)
    if coupon.get("_deleted"):
        raise StripeError(
            f"No such coupon: '{identifier}'", code="resource_missing", param=param or "coupon",
            status=400 if param else 404,
        )  # fmt: skip
    return coupon


def check_code(tx: Tx, code: Obj, *, customer: Obj | None, currency: str, subtotal: int) -> None:
    """Refuses a promotion code that this customer can't use for this amount."""
    said = "This promotion code cannot be redeemed because "
    if not code["active"]:
        raise StripeError(f"{said}it is not active.", param="promotion_code")
    if code["customer"] is not None and code["customer"] != (customer or {}).get("id"):
        raise StripeError(f"{said}it belongs to another customer.", param="promotion_code")
    limits = code["restrictions"]
    if limits["first_time_transaction"] and customer is not None and _paid_before(tx, customer):
        raise StripeError(
            f"{said}the associated customer has prior transactions.", param="promotion_code"
        )
    least = _minimum(code, currency)
    if least is not None and subtotal < least:
        raise StripeError(
            f"{said}the amount is below {display(least, currency)}.", param="promotion_code"
        )


def _minimum(code: Obj, currency: str) -> int | None:
    limits = code["restrictions"]
    if limits["minimum_amount"] is None:
        return None
    if limits["minimum_amount_currency"] == currency:
        return int(limits["minimum_amount"])
    option = limits["_minimums"].get(currency)
    if option is None:
        raise StripeError(
            f"This promotion code has no minimum amount in `{currency}`.", param="promotion_code"
        )
    return int(option["minimum_amount"])


def _new(tx: Tx, coupon: Obj, currency: str, param: str, *, promotion_code: str | None) -> Obj:
    if not coupon["valid"]:
        raise StripeError(f"Coupon expired: {coupon['id']}", code="coupon_expired", param=param)
    if coupon["percent_off"] is None and amount_off(coupon, currency) is None:
        raise StripeError(
            f"The coupon `{coupon['id']}` takes off {coupon['currency']}, not {currency}.",
            param=param,
        )
    months = coupon["duration_in_months"]
    end = boundary(tx.now, "month", 1, months) if coupon["duration"] == "repeating" else None
    return tx.part("discount") | {
        "id": new_id("discount"),
        "object": "discount",
        "end": end,
        "promotion_code": promotion_code,
        "source": {"type": "coupon", "coupon": coupon["id"]},
        "start": tx.now,
    }


def _count(tx: Tx, discount: Obj) -> None:
    """One redemption more. The last one allowed makes the coupon invalid or the code inactive."""
    from sandbox.stripe.resources import coupons, promotion_codes

    coupon = _coupon(tx, discount)
    with tx.changing(coupon):
        coupon["times_redeemed"] += 1
    if discount["promotion_code"] is not None:
        code = tx.get("promotion_code", discount["promotion_code"])
        with tx.changing(code):
            code["times_redeemed"] += 1
        promotion_codes.judge(tx, code)
    coupons.judge(tx, coupon)


def _paid_before(tx: Tx, customer: Obj) -> bool:
    return bool(tx.store.select("charge", customer=customer["id"], status="succeeded"))


def _coupon(tx: Tx, discount: Obj) -> Obj:
    return tx.get("coupon", discount["source"]["coupon"])
