"""Test clocks, credit balances, and setup intents that change their mind."""

from __future__ import annotations

import time
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.box import DAY, GOOD, Box
from tests.sandbox.stripe.test_stripe_invoices import amounts, open_invoice

HOUR = 3600


def clock(box: Box) -> Any:
    return box.v1.test_helpers.test_clocks.create({"frozen_time": box.now, "name": "Renewal"})


def advance(box: Box, identifier: str, to: int) -> Any:
    """Advances and waits until it is there."""
    answer = box.v1.test_helpers.test_clocks.advance(identifier, {"frozen_time": to})
    assert answer.status == "advancing"
    for _ in range(100):
        found = box.v1.test_helpers.test_clocks.retrieve(identifier)
        if found.status == "ready":
            return found
        time.sleep(0.05)
    raise AssertionError("the clock never got there")


def subscriber(box: Box, identifier: str) -> stripe.Subscription:
    customer = box.customer(GOOD, test_clock=identifier)
    items: Any = [{"price": box.price(4900).id}]
    return box.v1.subscriptions.create({"customer": customer.id, "items": items})


def test_a_clock_carries_its_customers_through_a_renewal(box: Box) -> None:
    made = clock(box)
    subscription = subscriber(box, made.id)
    assert subscription.test_clock == made.id
    target = subscription["items"].data[0].current_period_end + HOUR
    there = advance(box, made.id, target)
    assert there.frozen_time == target
    assert [invoice.total for invoice in box.invoices(subscription.id)] == [4900, 4900]
    kinds = [kind for kind in box.event_types() if kind.startswith("test_helpers.")]
    assert [kind.rpartition(".")[2] for kind in kinds] == ["created", "advancing", "ready"]


def test_it_goes_two_intervals_at_most_and_never_back(box: Box) -> None:
    made = clock(box)
    subscriber(box, made.id)
    for target, says in ((box.now + 70 * DAY, "two intervals"), (box.now - DAY, "only goes")):
        with pytest.raises(stripe.InvalidRequestError, match=says):
            box.v1.test_helpers.test_clocks.advance(made.id, {"frozen_time": target})
    advance(box, made.id, box.now + 55 * DAY)
    with pytest.raises(stripe.InvalidRequestError, match="starts now"):
        box.v1.test_helpers.test_clocks.create({"frozen_time": 1_700_000_000})


def test_its_customers_are_deleted_with_it(box: Box) -> None:
    made = clock(box)
    subscription = subscriber(box, made.id)
    box.v1.test_helpers.test_clocks.delete(made.id)
    assert box.v1.test_helpers.test_clocks.list().data == []
    assert box.subscription(subscription.id).status == "canceled"
    assert box.v1.customers.retrieve(str(subscription.customer)).deleted is True


def moves(box: Box, customer: str) -> list[tuple[str, int, int]]:
    rows = box.v1.customers.balance_transactions.list(customer).data[::-1]
    return [(row.type, row.amount, row.ending_balance) for row in rows]


def test_a_credit_pays_invoices_until_it_is_gone(box: Box) -> None:
    subscription = box.subscribe(amount=4900)
    customer = str(subscription.customer)
    given: Any = {"amount": -6000, "currency": "usd", "description": "A referral"}
    made = box.v1.customers.balance_transactions.create(customer, given)
    assert (made.type, made.description, made.ending_balance) == (
        "adjustment",
        "A referral",
        -6000,
    )
    box.wait(63 * DAY)
    paid = [invoice.amount_paid for invoice in box.invoices(subscription.id)]
    assert paid == [4900, 0, 3800]
    assert moves(box, customer) == [
        ("adjustment", -6000, -6000),
        ("applied_to_invoice", 4900, -1100),
        ("applied_to_invoice", 1100, 0),
    ]
    last = box.invoices(subscription.id)[-1]
    by_invoice = box.v1.customers.balance_transactions.list(customer, {"invoice": last.id}).data
    assert [row.amount for row in by_invoice] == [1100]


def test_a_void_invoice_gives_the_credit_back(box: Box) -> None:
    subscription = box.subscribe(amount=4900)
    customer = str(subscription.customer)
    box.v1.customers.update(customer, {"balance": -1000})
    box.give_card(customer, "4000000000000341")
    box.wait_until(subscription["items"].data[0].current_period_end + HOUR)
    invoice = box.invoices(subscription.id)[-1]
    assert (invoice.status, invoice.amount_due) == ("open", 3900)
    box.v1.invoices.void_invoice(invoice.id)
    assert box.v1.customers.retrieve(customer).balance == -1000
    assert [kind for kind, *_ in moves(box, customer)] == [
        "adjustment",
        "applied_to_invoice",
        "unapplied_from_invoice",
    ]


def test_a_credit_has_the_customers_currency(box: Box) -> None:
    customer = str(box.subscribe().customer)
    with pytest.raises(stripe.InvalidRequestError, match="currency is usd, not eur"):
        box.v1.customers.balance_transactions.create(customer, {"amount": -1, "currency": "eur"})


def test_a_void_invoice_without_credit_moves_nothing(box: Box) -> None:
    invoice = open_invoice(box)
    assert amounts(invoice) == [4900]
    box.v1.invoices.void_invoice(invoice.id)
    assert moves(box, str(invoice.customer)) == []


def test_a_setup_intent_takes_another_card_before_it_is_confirmed(box: Box) -> None:
    customer = box.customer(card=None)
    intent = box.v1.setup_intents.create({"customer": customer.id})
    changed = box.v1.setup_intents.update(
        intent.id, {"payment_method": "pm_card_visa", "metadata": {"brand": "7"}}
    )
    assert (changed.status, changed.metadata and changed.metadata["brand"]) == (
        "requires_confirmation",
        "7",
    )
    assert box.v1.setup_intents.confirm(intent.id).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError, match="could not be updated"):
        box.v1.setup_intents.update(intent.id, {"description": "late"})
