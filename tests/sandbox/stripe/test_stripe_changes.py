"""Lives of subscriptions, drawn at random: plan changes with discounts and tax in any currency.

In one process and without HTTP, because there are many. Whatever happens, a preview is what is then
charged, lines add up to totals, and nobody gets back more than was billed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.stripe import clock, taxes
from sandbox.stripe.context import Config, Tx
from sandbox.stripe.errors import StripeError
from sandbox.stripe.resources import (
    coupons,
    customers,
    invoices,
    methods,
    prices,
    products,
    subscriptions,
)
from sandbox.stripe.store import Store
from tests.contracts import contract

DAY = 86_400
CURRENCIES = st.sampled_from(["usd", "eur", "jpy", "kwd"])
AMOUNTS = st.lists(st.integers(1, 99_999), min_size=2, max_size=3, unique=True)
STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(0, 20 * DAY)),
    min_size=1,
    max_size=4,
)
COUPONS = st.none() | st.fixed_dictionaries(
    {"duration": st.sampled_from(["once", "forever"])}
).flatmap(
    lambda base: st.one_of(
        st.floats(0.5, 100).map(lambda p: {**base, "percent_off": round(p, 2)}),
        st.integers(1, 50_000).map(lambda a: {**base, "amount_off": a}),
    )
)


@dataclass
class World:
    """A sandbox without its server."""

    store: Store
    now: int = 1_900_000_000
    config: Config = field(
        default_factory=lambda: Config("http://sandbox", "http://app", "whsec", "acct", contract())
    )

    @contextmanager
    def tx(self) -> Iterator[Tx]:
        with self.store.transaction():
            yield Tx(self.store, self.config, self.now)

    def wait(self, seconds: int) -> None:
        self.now += seconds
        clock.run_until(self.store, self.config, self.now)


@contextmanager
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        made = World(Store(Path(folder) / "stripe.sqlite3"))
        with made.tx() as tx:
            taxes.ensure_rates(tx)
        yield made
        made.store.close()


def start(
    tx: Tx,
    currency: str,
    amounts: list[int],
    behaviour: str,
    country: str | None,
    coupon: dict[str, Any] | None,
) -> tuple[dict[str, Any], list[str]]:
    """A running subscription to the first of the prices."""
    product = products.create(tx, {"name": "Leads"})["id"]
    common = {"currency": currency, "product": product, "tax_behavior": behaviour}
    made = [
        prices.create(tx, {**common, "unit_amount": amount, "recurring": {"interval": "month"}})[
            "id"
        ]
        for amount in amounts
    ]
    customer = customers.create(tx, {"address": {"country": country}} if country else {})
    attached = methods.attach_to(tx, "pm_card_visa", customer)["id"]
    customers.update(tx, {"invoice_settings": {"default_payment_method": attached}}, customer["id"])
    params: dict[str, Any] = {
        "customer": customer["id"],
        "items": [{"price": made[0]}],
        "automatic_tax": {"enabled": country is not None},
    }
    if coupon is not None:
        own = {"currency": currency} if "amount_off" in coupon else {}
        params["discounts"] = [{"coupon": coupons.create(tx, {**coupon, **own})["id"]}]
    return dict(subscriptions.create(tx, params)), made


def check_sums(invoice: dict[str, Any]) -> None:
    rows = invoice["lines"]["data"]
    off = sum(entry["amount"] for row in rows for entry in row["discount_amounts"])
    taxed = [entry for row in rows for entry in row["taxes"]]
    added = sum(e["amount"] for e in taxed if e["tax_behavior"] == "exclusive")
    assert invoice["subtotal"] == sum(row["amount"] for row in rows)
    assert sum(e["amount"] for e in invoice["total_discount_amounts"]) == off
    assert invoice["total"] == invoice["subtotal"] - off + added
    assert invoice["total_excluding_tax"] == invoice["total"] - sum(e["amount"] for e in taxed)


@settings(max_examples=60, deadline=None)
@given(
    CURRENCIES,
    AMOUNTS,
    st.sampled_from(["inclusive", "exclusive"]),
    st.sampled_from([None, "DE", "CH"]),
    COUPONS,
    STEPS,
)
def test_previews_come_true_and_credits_stay_below_what_was_billed(
    currency: str,
    amounts: list[int],
    behaviour: str,
    country: str | None,
    coupon: dict[str, Any] | None,
    steps: list[tuple[int, int, int]],
) -> None:
    with world() as sandbox:
        with sandbox.tx() as tx:
            subscription, made = start(tx, currency, amounts, behaviour, country, coupon)
        identifier, held = subscription["id"], (made[0], 1)
        for choice, quantity, seconds in steps:
            sandbox.wait(seconds)
            wanted = (made[choice % len(made)], quantity)
            if wanted == held:
                continue
            held = wanted
            _change(sandbox, identifier, *wanted)
        sandbox.wait(DAY)
        with sandbox.tx() as tx:
            subscriptions.cancel(tx, {"prorate": True, "invoice_now": True}, identifier)
        _check_life(sandbox, identifier)


def _change(sandbox: World, identifier: str, price: str, quantity: int) -> None:
    with sandbox.tx() as tx:
        found = tx.get("subscription", identifier)
        before = found["latest_invoice"]
        entry = {"id": found["items"]["data"][0]["id"], "price": price, "quantity": quantity}
        change = {
            "items": [entry],
            "proration_behavior": "always_invoice",
            "proration_date": sandbox.now,
        }
        preview = _preview(tx, identifier, change)
        subscriptions.update(tx, change, identifier)
        latest = tx.get("subscription", identifier)["latest_invoice"]
        assert (latest == before) == (preview is None)
        if preview is None:  # free before and after
            return
        charged = tx.get("invoice", latest)
        said, done = (
            [row["amount"] for row in found["lines"]["data"]] for found in (preview, charged)
        )
        assert said == done
        assert preview["total"] == charged["total"]
        check_sums(preview)


def _preview(tx: Tx, identifier: str, change: dict[str, Any]) -> dict[str, Any] | None:
    asked = {"subscription": identifier, "subscription_details": change}
    try:
        return invoices.create_preview(tx, asked)
    except StripeError as error:
        if error.error["code"] != "invoice_upcoming_none":
            raise
        return None


def _check_life(sandbox: World, identifier: str) -> None:
    with sandbox.tx() as tx:
        made = tx.store.select("invoice", _subscription=identifier)
        billed = 0
        for invoice in made:
            check_sums(invoice)
            assert invoice["amount_due"] >= 0
            billed += invoice["total"]
            assert billed >= 0
        customer = tx.get("customer", made[0]["customer"])
        paid = sum(invoice["amount_paid"] for invoice in made)
        assert paid + customer["balance"] == billed
