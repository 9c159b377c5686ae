"""Trials: the card at Checkout, the warning, and what the end brings."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.box import DAY, GOOD, Box, shown

WARNING = "customer.subscription.trial_will_end"
HOUR = 3700


def try_out(box: Box, days: int, **more: Any) -> Any:
    data: Any = {
        "trial_period_days": days,
        "trial_settings": {"end_behavior": {"missing_payment_method": "cancel"}},
    }
    customer = box.customer(card=None)
    return box.checkout(
        box.price().id, customer=customer.id, subscription_data=data,
        payment_method_collection="always", **more,
    )  # fmt: skip


def the_subscription(box: Box, session: Any) -> stripe.Subscription:
    done = box.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]})
    assert isinstance(done.subscription, stripe.Subscription)
    return done.subscription


def card_of(box: Box, subscription: stripe.Subscription) -> stripe.PaymentMethod:
    return box.v1.payment_methods.retrieve(str(subscription.default_payment_method))


def test_a_card_is_collected_although_nothing_is_due(box: Box) -> None:
    session = try_out(box, 7)
    assert "Your card number is incomplete." in shown(box.pay(session, ""))
    box.pay(session)
    held = the_subscription(box, session)
    assert held.status == "trialing"
    assert held.trial_settings is not None
    assert held.trial_settings.end_behavior.missing_payment_method == "cancel"
    [intent] = box.v1.setup_intents.list().data
    assert (intent.status, intent.payment_method) == ("succeeded", held.default_payment_method)
    assert box.event_types().count("setup_intent.succeeded") == 1
    assert [(one.status, one.total) for one in box.invoices(held.id)] == [("paid", 0)]


def test_a_number_has_one_fingerprint_whoever_s_card_it_is(box: Box) -> None:
    prints = []
    for number in (GOOD, "4242 4242 4242 4242", "5555555555554444"):
        session = try_out(box, 7)
        box.pay(session, number)
        card = card_of(box, the_subscription(box, session)).card
        assert card is not None
        prints.append(card.fingerprint)
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize(("days", "at_once"), [(2, 1), (3, 1), (4, 0)])
def test_a_short_trial_warns_at_once_and_only_once(box: Box, days: int, at_once: int) -> None:
    box.pay(try_out(box, days))
    assert box.event_types().count(WARNING) == at_once
    box.wait(days * DAY + HOUR)
    assert box.event_types().count(WARNING) == 1


def test_a_trial_that_is_ended_now_warns_too_and_charges(box: Box) -> None:
    session = try_out(box, 14)
    box.pay(session)
    held = the_subscription(box, session)
    box.v1.subscriptions.update(held.id, {"trial_end": "now"})
    assert box.event_types().count(WARNING) == 1
    assert box.subscription(held.id).status == "active"
    assert [charge.amount for charge in box.v1.charges.list().data] == [4900]


def test_a_trial_that_is_moved_warns_again(box: Box) -> None:
    session = try_out(box, 2)
    box.pay(session)
    held = the_subscription(box, session)
    later = held.created + 10 * DAY
    box.v1.subscriptions.update(held.id, {"trial_end": later})
    assert box.event_types().count(WARNING) == 1
    box.wait(8 * DAY)
    assert box.event_types().count(WARNING) == 2


def test_a_card_that_is_taken_away_is_no_longer_the_subscription_s(box: Box) -> None:
    session = try_out(box, 7)
    box.pay(session)
    held = the_subscription(box, session)
    box.v1.payment_methods.detach(str(held.default_payment_method))
    assert box.subscription(held.id).default_payment_method is None
    box.wait(7 * DAY + HOUR)
    assert box.subscription(held.id).status == "canceled"
    assert box.v1.charges.list().data == []


def test_cancelling_at_once_within_the_trial_bills_nothing(box: Box) -> None:
    session = try_out(box, 7)
    box.pay(session)
    held = the_subscription(box, session)
    assert box.v1.subscriptions.cancel(held.id).status == "canceled"
    box.wait(40 * DAY)
    assert [one.total for one in box.invoices(held.id)] == [0]


def test_a_trial_has_at_most_two_years(box: Box) -> None:
    params: Any = {
        "customer": box.customer().id,
        "items": [{"price": box.price().id}],
        "trial_period_days": 731,
    }
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        box.v1.subscriptions.create(params)
    assert refusal.value.param == "trial_period_days"
