"""Pending updates, by Stripe's rules: applied when paid, given up when not."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.box import DAY, FAILS_LATER, GOOD, Box

ASKS_ALWAYS = "4000002760003184"
HOUR = 3600


@pytest.fixture
def subscription(box: Box) -> stripe.Subscription:
    found = box.subscribe(amount=1000)
    box.give_card(str(found.customer), ASKS_ALWAYS)
    return found


def upgrade(box: Box, subscription: stripe.Subscription, amount: int = 2000, **more: Any) -> Any:
    items: Any = [{"id": subscription["items"].data[0].id, "price": box.price(amount).id}]
    asked: Any = {
        "items": items,
        "payment_behavior": "pending_if_incomplete",
        "proration_behavior": "always_invoice",
    }
    return box.v1.subscriptions.update(subscription.id, asked | more)


def amount_of(found: Any) -> int:
    return int(found["items"].data[0].price.unit_amount)


def statuses(box: Box, subscription: stripe.Subscription) -> list[str | None]:
    return [invoice.status for invoice in box.invoices(subscription.id)]


def test_paid_at_once_nothing_is_pending(box: Box, subscription: stripe.Subscription) -> None:
    box.give_card(str(subscription.customer), GOOD)
    changed = upgrade(box, subscription)
    assert (amount_of(changed), changed.pending_update) == (2000, None)
    assert "customer.subscription.pending_update_applied" not in box.event_types()


def test_it_waits_for_the_bank_and_is_then_applied(
    box: Box, subscription: stripe.Subscription
) -> None:
    changed = upgrade(box, subscription)
    assert (amount_of(changed), changed.status) == (1000, "active")
    held = changed.pending_update
    assert held.expires_at == box.now + 23 * HOUR
    assert held.subscription_items[0].price.unit_amount == 2000
    [payment] = box.v1.invoices.retrieve(
        str(changed.latest_invoice), {"expand": ["payments"]}
    ).payments.data
    intent = str(payment.payment.payment_intent)
    box.control("POST", "/actions/3ds", {"intent": intent, "passed": True})
    applied: Any = box.subscription(subscription.id)
    assert (amount_of(applied), applied.pending_update) == (2000, None)
    assert statuses(box, subscription) == ["paid", "paid"]
    assert box.event_types()[-1] == "customer.subscription.pending_update_applied"


def test_a_declined_card_leaves_it_pending_for_another(
    box: Box, subscription: stripe.Subscription
) -> None:
    box.give_card(str(subscription.customer), FAILS_LATER)
    changed = upgrade(box, subscription)
    assert (changed.status, amount_of(changed)) == ("active", 1000)
    box.wait(10 * HOUR)
    box.give_card(str(subscription.customer), GOOD)
    box.v1.invoices.pay(str(changed.latest_invoice))
    assert amount_of(box.subscription(subscription.id)) == 2000


def test_unpaid_it_is_given_up_after_23_hours(box: Box, subscription: stripe.Subscription) -> None:
    upgrade(box, subscription)
    box.wait(23 * HOUR)
    found = box.subscription(subscription.id)
    assert (amount_of(found), found.status, found.pending_update) == (1000, "active", None)
    assert statuses(box, subscription) == ["paid", "void"]
    assert "customer.subscription.pending_update_expired" in box.event_types()


def test_or_with_the_period(box: Box, subscription: stripe.Subscription) -> None:
    end = subscription["items"].data[0].current_period_end
    box.wait_until(end - HOUR)
    assert upgrade(box, subscription).pending_update.expires_at == end
    box.give_card(str(subscription.customer), GOOD)
    box.wait(DAY)
    assert amount_of(box.subscription(subscription.id)) == 1000
    assert [one.total for one in box.invoices(subscription.id) if one.status == "paid"] == [
        1000
    ] * 2


def test_voiding_the_invoice_takes_it_back(box: Box, subscription: stripe.Subscription) -> None:
    changed = upgrade(box, subscription)
    box.v1.invoices.void_invoice(str(changed.latest_invoice))
    assert box.subscription(subscription.id).pending_update is None
    assert "customer.subscription.pending_update_expired" not in box.event_types()


def test_a_second_one_takes_the_place_of_the_first(
    box: Box, subscription: stripe.Subscription
) -> None:
    upgrade(box, subscription)
    second = upgrade(box, subscription, amount=3000)
    assert second.pending_update.subscription_items[0].price.unit_amount == 3000
    assert statuses(box, subscription) == ["paid", "void", "open"]


@pytest.mark.parametrize("more", [{"cancel_at_period_end": True}, {"items": [{"deleted": True}]}])
def test_only_what_is_paid_for_can_be_pending(
    box: Box, subscription: stripe.Subscription, more: Any
) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        upgrade(box, subscription, **more)


def test_all_or_nothing_refuses_a_card_that_asks(
    box: Box, subscription: stripe.Subscription
) -> None:
    with pytest.raises(stripe.CardError) as refusal:
        upgrade(box, subscription, payment_behavior="error_if_incomplete")
    assert refusal.value.code == "subscription_payment_intent_requires_action"
    assert statuses(box, subscription) == ["paid"]
    assert amount_of(box.subscription(subscription.id)) == 1000
