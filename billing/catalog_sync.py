"""The catalog at Stripe: what is missing there, and how it gets there. Never edits a price.

Products have ids of ours (`harbor_<plan>`), prices are found by lookup key. An amount that differs
at Stripe is a conflict for a person: the plan needs a new version, old subscribers keep the old.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from billing import catalog, gateway, operations
from billing.models import StripeOperation
from saas.tenancy import everyone


@dataclass(frozen=True)
class Change:
    """One thing to create; `text` says it to a person."""

    kind: operations.Kind
    subject: str
    params: dict[str, Any]
    text: str


@dataclass(frozen=True)
class Diff:
    changes: list[Change]
    conflicts: list[str]


def diff() -> Diff:
    """Compare the catalog with Stripe. Reads only."""
    plans = catalog.on_sale()
    prices = _prices([plan.lookup_key for plan in plans])
    changes: list[Change] = []
    conflicts: list[str] = []
    for plan in plans:
        if gateway.find(f"/v1/products/{product_id(plan)}") is None:
            changes.append(_product(plan))
        price = prices.get(plan.lookup_key)
        if price is None:
            changes.append(_price(plan))
        elif price["unit_amount"] != plan.prices[catalog.DEFAULT_CURRENCY]:
            conflicts.append(
                f"{plan.lookup_key} is {price['unit_amount']} at Stripe and"
                f" {plan.prices[catalog.DEFAULT_CURRENCY]} here: raise the plan's version"
            )
    return Diff(changes, conflicts)


def apply(change: Change) -> None:
    """Create what is missing. Safe to repeat. Raises Refused, Retryable, Misconfigured."""
    with everyone("sync the catalog"):
        operation = operations.begin(change.kind, subject=change.subject, params=change.params)
    operations.run(operation)


def product_id(plan: catalog.Plan) -> str:
    return f"harbor_{plan.key}"


def _prices(keys: list[str]) -> dict[str, gateway.Object]:
    found: dict[str, gateway.Object] = {}
    for start in range(0, len(keys), 10):  # Stripe takes ten lookup keys a call
        for price in gateway.each("/v1/prices", {"lookup_keys": keys[start : start + 10]}):
            found[price["lookup_key"]] = price
    return found


def _product(plan: catalog.Plan) -> Change:
    params = {
        "id": product_id(plan),
        "name": f"Harbor {plan.name}",
        "description": plan.tagline,
        "metadata": {"plan": plan.key},
    }
    return Change(PRODUCT, product_id(plan), params, f"product {product_id(plan)}: {plan.name}")


def _price(plan: catalog.Plan) -> Change:
    amounts = dict(plan.prices)
    base = amounts.pop(catalog.DEFAULT_CURRENCY)
    params = {
        "product": product_id(plan),
        "currency": catalog.DEFAULT_CURRENCY,
        "unit_amount": base,
        "currency_options": {
            currency: {"unit_amount": amount} for currency, amount in amounts.items()
        },
        "recurring": {"interval": "month"},
        "lookup_key": plan.lookup_key,
        "nickname": f"{plan.name}, monthly",
        "metadata": {"plan": plan.key},
    }
    also = ", ".join(f"{amount} {currency}" for currency, amount in plan.prices.items())
    return Change(PRICE, plan.lookup_key, params, f"price {plan.lookup_key}: {also}")


def _look_for_product(operation: StripeOperation) -> gateway.Object | None:
    return gateway.find(f"/v1/products/{operation.params['id']}")


def _look_for_price(operation: StripeOperation) -> gateway.Object | None:
    return _prices([operation.params["lookup_key"]]).get(operation.params["lookup_key"])


PRODUCT = operations.register(
    operations.Kind("product.create", "/v1/products", _look_for_product, tagged=True)
)
PRICE = operations.register(
    operations.Kind("price.create", "/v1/prices", _look_for_price, tagged=True)
)
