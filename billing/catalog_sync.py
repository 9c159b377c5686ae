"""The catalog at Stripe: what is missing there, and how it gets there. Never edits a price.

The name and the description of a product are changed in place.

Products have ids of ours (`harbor_<plan>`), prices are found by lookup key. An amount that differs
at Stripe is a conflict for a person: the plan needs a new version, old subscribers keep the old.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from billing import catalog, gateway, operations
from billing.models import StripeOperation
from saas.errors import Misconfigured
from saas.tenancy import everyone

TAX_CODE = "txcd_10103001"  # Stripe's code for software as a service, for business use
UNTOLD: Any = None  # Stripe doesn't always tell the tiers of a price's further currencies
WORDS = ("name", "description")  # of a product, which people read
EXPAND = ["data.currency_options", "data.tiers"]


@dataclass(frozen=True)
class Change:
    """One thing to create, or to update ("~"); `text` says it to a person."""

    kind: operations.Kind
    subject: str
    params: dict[str, Any]
    text: str
    sign: str = "+"


@dataclass(frozen=True)
class Diff:
    changes: list[Change]
    conflicts: list[str]


def diff() -> Diff:
    """Compare the catalog with Stripe. Reads only."""
    plans = catalog.on_sale()
    wanted = [change for plan in plans for change in _prices_of(plan)]
    there = _prices([change.params["lookup_key"] for change in wanted])
    counting = [plan.metered for plan in plans if plan.metered]
    meters = {one["event_name"] for one in _meters()} if counting else ()
    changes = [change for plan in plans for change in _product_changes(plan)]
    changes += [_meter(one) for one in counting if one.event not in meters]
    changes += [change for change in wanted if change.params["lookup_key"] not in there]
    return Diff(changes, [text for change in wanted for text in _conflict(change, there)])


def _conflict(change: Change, there: Mapping[str, gateway.Object]) -> list[str]:
    """Compare a price of ours with the one at Stripe, in every currency."""
    key = change.params["lookup_key"]
    if key not in there:
        return []
    price = there[key]
    untold = set(_options(change.params)) - set(_options(price))
    missing = sorted(untold) if price.get("currency_options") else []
    return [f"{key} has no {one} at Stripe: raise the plan's version" for one in missing] + [
        f"{key} is {at_stripe} {currency} at Stripe and {here} here: raise the plan's version"
        for told in (_amounts, _taxes)
        for currency, here in told(change.params).items()
        if (at_stripe := told(price).get(currency, UNTOLD)) not in (here, UNTOLD)
    ]


def _amounts(price: Mapping[str, Any]) -> dict[str, Any]:
    """What a price costs in each of its currencies: an amount, or the amounts of its tiers."""
    return {currency: _amount(option) for currency, option in _options(price).items()}


def _taxes(price: Mapping[str, Any]) -> dict[str, Any]:
    """Whether a price is exclusive or inclusive of tax in each of its currencies."""
    return {name: option.get("tax_behavior") for name, option in _options(price).items()}


def _options(price: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {price["currency"]: price, **(price.get("currency_options") or {})}


def _amount(option: Mapping[str, Any]) -> Any:
    if option.get("tiers"):
        return [tier.get("unit_amount") for tier in option["tiers"]]
    return option.get("unit_amount", UNTOLD)


def apply(change: Change) -> None:
    """Create or update one thing. Safe to repeat. Raises Refused, Retryable, Misconfigured."""
    params = {**change.params, **_with_meter(change.params)}
    with everyone("sync the catalog"):
        operation = operations.begin(change.kind, subject=change.subject, params=params)
    operations.run(operation)


def _with_meter(params: Mapping[str, Any]) -> dict[str, Any]:
    """Put the meter's id in the place of the name of its events."""
    recurring = params.get("recurring") or {}
    if "meter" not in recurring:
        return {}
    named = (meter["id"] for meter in _meters() if meter["event_name"] == recurring["meter"])
    meter = next(named, None)
    if meter is None:
        raise Misconfigured(f"Stripe has no active meter of {recurring['meter']} events")
    return {"recurring": {**recurring, "meter": meter}}


def _meters() -> Iterator[gateway.Object]:
    """The meters that count: a name may also be that of meters that were switched off."""
    return gateway.each("/v1/billing/meters", {"status": "active"})


def product_id(plan: catalog.Plan) -> str:
    return f"harbor_{plan.key}"


def _prices(keys: list[str]) -> dict[str, gateway.Object]:
    found: dict[str, gateway.Object] = {}
    for start in range(0, len(keys), 10):  # Stripe takes ten lookup keys a call
        asked = {"lookup_keys": keys[start : start + 10], "active": True, "expand": EXPAND}
        for price in gateway.each("/v1/prices", asked):
            found[price["lookup_key"]] = price
    return found


def _product_changes(plan: catalog.Plan) -> list[Change]:
    wanted = _product(plan)
    there = gateway.find(f"/v1/products/{wanted.subject}")
    if there is None:
        return [wanted]
    words = {name: wanted.params[name] for name in WORDS if wanted.params[name] != there.get(name)}
    if not words:
        return []
    said = ", ".join(f"{name} {there.get(name)!r} becomes {new!r}" for name, new in words.items())
    params = {"_product": wanted.subject, **words}
    return [Change(RENAME, wanted.subject, params, f"product {wanted.subject}: {said}", "~")]


def _product(plan: catalog.Plan) -> Change:
    params = {
        "id": product_id(plan),
        "name": f"Harbor {plan.name}",
        "description": plan.tagline,
        "tax_code": TAX_CODE,
        "metadata": {"plan": plan.key},
    }
    return Change(PRODUCT, product_id(plan), params, f"product {product_id(plan)}: {plan.name}")


def _meter(metered: catalog.Metered) -> Change:
    params = {
        "display_name": f"Harbor {metered.event}",
        "event_name": metered.event,
        "default_aggregation": {"formula": "sum"},
        "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
        "value_settings": {"event_payload_key": "value"},
    }
    return Change(METER, metered.event, params, f"meter {metered.event}")


def _prices_of(plan: catalog.Plan) -> list[Change]:
    found = [_price(plan, interval) for interval in plan.intervals]
    return [*found, _metered_price(plan, plan.metered)] if plan.metered else found


def _price(plan: catalog.Plan, interval: catalog.Interval) -> Change:
    amounts = {currency: plan.price(interval, currency) for currency in plan.prices}
    return _change(
        plan,
        plan.lookup_key(interval),
        f"{plan.name}, a {interval}",
        {currency: {"unit_amount": amount} for currency, amount in amounts.items()},
        {"recurring": {"interval": interval}},
    )


def _metered_price(plan: catalog.Plan, metered: catalog.Metered) -> Change:
    """Nothing for what is included, then each unit. The meter's id is put in when it is sent."""
    tiers = {
        currency: {
            "tiers": [
                {"up_to": metered.included, "unit_amount": 0},
                {"up_to": "inf", "unit_amount": amount},
            ]
        }
        for currency, amount in metered.prices.items()
    }
    more = {
        "recurring": {"interval": "month", "usage_type": "metered", "meter": metered.event},
        "billing_scheme": "tiered",
        "tiers_mode": "graduated",
    }
    return _change(plan, plan.metered_key, f"{plan.name}, each {metered.unit}", tiers, more)


def _change(
    plan: catalog.Plan,
    lookup_key: str,
    nickname: str,
    amounts: dict[str, dict[str, Any]],
    more: dict[str, Any],
) -> Change:
    base, *others = amounts
    params = {
        "product": product_id(plan),
        "currency": base,
        **amounts[base],
        "currency_options": {
            currency: {**amounts[currency], "tax_behavior": _tax_behavior(currency)}
            for currency in others
        },
        "tax_behavior": _tax_behavior(base),
        "lookup_key": lookup_key,
        "nickname": nickname,
        "metadata": {"plan": plan.key},
        **more,
    }
    costs = ", ".join(f"{amount} {currency}" for currency, amount in _amounts(params).items())
    return Change(PRICE, lookup_key, params, f"price {lookup_key}: {costs}")


def _tax_behavior(currency: str) -> str:
    return "inclusive" if catalog.tax_included(currency) else "exclusive"


def _look_for_product(operation: StripeOperation) -> gateway.Object | None:
    return gateway.find(f"/v1/products/{operation.params['id']}")


def _look_renamed(operation: StripeOperation) -> gateway.Object | None:
    found = gateway.get(f"/v1/products/{operation.params['_product']}")
    wanted = [(name, operation.params[name]) for name in WORDS if name in operation.params]
    return found if all(found.get(name) == word for name, word in wanted) else None


def _look_for_meter(operation: StripeOperation) -> gateway.Object | None:
    for meter in _meters():
        if meter["event_name"] == operation.params["event_name"]:
            return meter
    return None


def _look_for_price(operation: StripeOperation) -> gateway.Object | None:
    return _prices([operation.params["lookup_key"]]).get(operation.params["lookup_key"])


PRODUCT = operations.register(
    operations.Kind("product.create", "/v1/products", _look_for_product, tagged=True)
)
RENAME = operations.register(
    operations.Kind("product.update", "/v1/products/{_product}", _look_renamed)
)
METER = operations.register(operations.Kind("meter.create", "/v1/billing/meters", _look_for_meter))
PRICE = operations.register(
    operations.Kind("price.create", "/v1/prices", _look_for_price, tagged=True)
)
