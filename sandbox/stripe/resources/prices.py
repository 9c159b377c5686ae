"""Prices: never edited in amount, found by lookup key, with amounts in other currencies."""

from decimal import Decimal
from typing import Any

from sandbox.stripe import tiers as tiers_of
from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError
from sandbox.stripe.money import display, whole
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

PRICED_BY = ("unit_amount", "unit_amount_decimal", "tiers", "custom_unit_amount")


@route("POST", "/v1/prices")
def create(tx: Tx, params: Params) -> Obj:
    product = _product(tx, params)
    recurring = params.get("recurring")
    fields = _amounts(params)
    if not any(name in params for name in PRICED_BY):
        message = "Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set."
        raise StripeError(message, code="parameter_missing")
    _check_tiers(params, params.get("tiers"), "tiers")
    price = tx.new(
        "price",
        **fields,
        active=params.get("active", True),
        billing_scheme=params.get("billing_scheme", "per_unit"),
        currency=params["currency"],
        metadata={},
        nickname=params.get("nickname"),
        product=product["id"],
        recurring=_recurring(tx, recurring) if recurring else None,
        tax_behavior=params.get("tax_behavior", "unspecified"),
        tiers_mode=params.get("tiers_mode"),
        transform_quantity=params.get("transform_quantity"),
        type="recurring" if recurring else "one_time",
        _currency_options=_currency_options(tx, params.get("currency_options") or {}),
        _tiers=params.get("tiers"),
    )
    merge_metadata(price, params)
    _take_lookup_key(tx, price, params)
    tx.emit("price.created", price)
    return price


@route("GET", "/v1/prices/{price}")
def retrieve(tx: Tx, params: Params, price: str) -> Obj:
    return tx.get("price", price)


@route("POST", "/v1/prices/{price}")
def update(tx: Tx, params: Params, price: str) -> Obj:
    obj = tx.get("price", price)
    with tx.changing(obj, "price.updated"):
        assign(obj, params, "active", "nickname", "tax_behavior")
        merge_metadata(obj, params)
        _take_lookup_key(tx, obj, params)
        options = params.get("currency_options")
        if options is not None:
            obj["_currency_options"] |= _currency_options(tx, options or {})
    return obj


@route("GET", "/v1/prices")
def index(tx: Tx, params: Params) -> Obj:
    equal = given(params, "active", "currency", "product", "type", lookup_key="lookup_keys")
    for name, value in params.get("recurring", {}).items():
        equal[f"recurring.{name}"] = value
    return page(tx, "price", params, "/v1/prices", **equal)


@includable("price", "currency_options")
def currency_options(tx: Tx, price: Obj) -> Obj:
    """All currencies the price can be paid in, its own one too."""
    own = {name: price[name] for name in ("unit_amount", "unit_amount_decimal", "tax_behavior")}
    return {price["currency"]: {**own, "custom_unit_amount": None}, **price["_currency_options"]}


@includable("price", "tiers")
def tiers(tx: Tx, price: Obj) -> Any:
    return [tier(tx, raw) for raw in price["_tiers"]] if price["_tiers"] else None


def tier(tx: Tx, raw: Obj) -> Obj:
    part = tx.part("price_tier", **{k: v for k, v in raw.items() if k != "up_to"})
    for name in ("flat_amount", "unit_amount"):
        if part[name] is not None:
            part[f"{name}_decimal"] = str(part[name])
    part["up_to"] = None if raw["up_to"] == "inf" else raw["up_to"]
    return part


def unit_amount(price: Obj, currency: str) -> Decimal:
    """Minor units of `currency` for one unit, exact. Refuses a currency the price doesn't have."""
    source = price
    if currency != price["currency"]:
        source = price["_currency_options"].get(currency)
        if source is None:
            raise StripeError(
                f"The price specified only supports `{price['currency']}`. "
                f"This doesn't match the expected currency: `{currency}`.",
                param="currency",
            )
    exact = source["unit_amount_decimal"]
    return Decimal(exact if exact is not None else source["unit_amount"] or 0)


def tax_behavior(price: Obj, currency: str) -> str:
    own = currency == price["currency"]
    source = price if own else price["_currency_options"].get(currency, price)
    return str(source["tax_behavior"] or "unspecified")


def metered(price: Obj) -> bool:
    return bool(price["recurring"] and price["recurring"]["usage_type"] == "metered")


def line_amount(price: Obj, currency: str, quantity: int | Decimal) -> int:
    """What `quantity` units cost: one rounding, half up, on the total (on each graduated tier)."""
    unit = unit_amount(price, currency)
    if price["billing_scheme"] == "tiered":
        own = currency == price["currency"]
        steps = price["_tiers"] if own else price["_currency_options"][currency]["_tiers"]
        return tiers_of.cost(Decimal(quantity), steps, price["tiers_mode"])
    if price["transform_quantity"]:
        quantity = tiers_of.packages(Decimal(quantity), price["transform_quantity"])
    return whole(unit * quantity)


def _product(tx: Tx, params: Params) -> Obj:
    if "product" in params:
        return tx.get("product", params["product"], "product")
    if "product_data" not in params:
        raise StripeError(
            "You must pass either `product` or `product_data`.",
            code="parameter_missing",
            param="product",
        )
    from sandbox.stripe.resources import products

    return products.create(tx, params["product_data"])


def _amounts(params: Params) -> Obj:
    """`unit_amount` and its decimal twin; a fraction of a minor unit has no integer form."""
    exact = params.get("unit_amount_decimal")
    if exact is None:
        amount = params.get("unit_amount")
        if amount is not None and amount < 0:
            message = "Invalid non-negative integer"
            raise StripeError(message, code="parameter_invalid_integer", param="unit_amount")
        return {
            "unit_amount": amount,
            "unit_amount_decimal": None if amount is None else str(amount),
        }
    number = Decimal(exact)
    integral = number == number.to_integral_value()
    shown = format(number.normalize(), "f")
    return {"unit_amount": int(number) if integral else None, "unit_amount_decimal": shown}


def _recurring(tx: Tx, sent: Obj) -> Obj:
    defaults = {"interval_count": 1, "usage_type": "licensed"}
    is_metered = sent.get("usage_type") == "metered"
    if is_metered != ("meter" in sent):
        raise StripeError(
            "A metered price, and only that, must have a `meter`.",
            code="parameter_missing" if is_metered else None,
            param="recurring[meter]",
        )
    if is_metered:
        tx.get("billing.meter", sent["meter"], "recurring[meter]")
    return tx.part("recurring", **(defaults | sent))


def _currency_options(tx: Tx, sent: Obj) -> Obj:
    """Each option as it is stored; its own amounts follow the same rules as the price's."""
    options = {}
    for currency, raw in sent.items():
        typed = dict(raw)
        option = tx.part("currency_option", **_amounts(typed))
        option["_tiers"] = typed.get("tiers")
        option["tax_behavior"] = typed.get("tax_behavior", "unspecified")
        options[currency.lower()] = option
    return options


def _check_tiers(params: Params, steps: list[Obj] | None, param: str) -> None:
    """Tiers go up and end open, in every currency."""
    if params.get("billing_scheme", "per_unit") != "tiered":
        refused = [name for name in ("tiers", "tiers_mode") if name in params]
        if refused:
            raise StripeError("Tiers need `billing_scheme=tiered`.", param=refused[0])
        return
    if not steps or "tiers_mode" not in params:
        raise StripeError(
            "A tiered price needs `tiers` and `tiers_mode`.", code="parameter_missing", param=param
        )
    ends = [step["up_to"] for step in steps]
    bounds = ends[:-1]
    if ends[-1] != "inf" or "inf" in bounds or bounds != sorted(set(bounds)):
        raise StripeError("Tiers must go up, and the last one to `inf`.", param=param)
    for currency, option in (params.get("currency_options") or {}).items():
        alone = {name: params[name] for name in ("billing_scheme", "tiers_mode")}
        _check_tiers(alone, option.get("tiers"), f"currency_options[{currency}][tiers]")


def _take_lookup_key(tx: Tx, price: Obj, params: Params) -> None:
    key = params.get("lookup_key")
    if key is None:
        return
    for other in tx.store.select("price", lookup_key=key):
        if other["id"] == price["id"]:
            continue
        if not params.get("transfer_lookup_key"):
            raise StripeError(
                f"A price (`{other['id']}`) already uses that lookup key. "
                "Pass `transfer_lookup_key` to move it.",
                param="lookup_key",
            )
        with tx.changing(other, "price.updated"):
            other["lookup_key"] = None
    price["lookup_key"] = key or None


def describe(price: Obj, currency: str) -> str:
    """`at $10.00 / month`, for the line of an invoice."""
    unit = unit_amount(price, currency)
    amount = display(unit, currency)
    recurring = price["recurring"]
    if price["billing_scheme"] == "tiered":
        return f"{price['tiers_mode']} tiers"
    if not recurring:
        return f"at {amount} each"
    count = recurring["interval_count"]
    every = recurring["interval"] if count == 1 else f"every {count} {recurring['interval']}s"
    return f"at {amount} / {every}"
