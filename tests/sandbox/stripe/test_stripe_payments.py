"""Cards, intents, charges and refunds: what each test card does, and what refunds may take."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.box import ASKS, FAILS_LATER, Box


def pay(box: Box, card: str, amount: int = 2000, **more: Any) -> stripe.PaymentIntent:
    params: Any = {
        "amount": amount,
        "currency": "usd",
        "payment_method": box.card(card).id,
        "confirm": True,
        **more,
    }
    return box.v1.payment_intents.create(params)


@pytest.mark.parametrize(
    ("number", "code", "decline"),
    [
        ("4000000000000002", "card_declined", "generic_decline"),
        ("4000000000009995", "card_declined", "insufficient_funds"),
        ("4000000000009987", "card_declined", "lost_card"),
        ("4000000000000069", "expired_card", "expired_card"),
        ("4000000000000127", "incorrect_cvc", "incorrect_cvc"),
        ("4000000000000119", "processing_error", "processing_error"),
    ],
)
def test_each_declined_card_says_why(box: Box, number: str, code: str, decline: str) -> None:
    with pytest.raises(stripe.CardError) as refusal:
        pay(box, number)
    error = refusal.value.error
    assert error is not None
    assert (error.code, error.decline_code) == (code, decline)
    [intent] = box.v1.payment_intents.list().data
    assert (intent.status, intent.amount_received) == ("requires_payment_method", 0)
    [charge] = box.v1.charges.list().data
    assert (charge.status, charge.paid, charge.failure_code) == ("failed", False, code)
    assert box.event_types()[-2:] == ["charge.failed", "payment_intent.payment_failed"]


def test_a_good_card_leaves_a_charge_and_a_balance_transaction(box: Box) -> None:
    intent = pay(box, "4242424242424242", 10_000)
    charge = box.v1.charges.retrieve(str(intent.latest_charge), {"expand": ["balance_transaction"]})
    assert (charge.status, charge.amount_captured, charge.captured) == ("succeeded", 10_000, True)
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.last4 == "4242"
    moved = charge.balance_transaction
    assert isinstance(moved, stripe.BalanceTransaction)
    assert (moved.amount, moved.fee, moved.net) == (10_000, 320, 9680)
    assert moved.source == charge.id


def test_a_number_that_is_no_card_number(box: Box) -> None:
    with pytest.raises(stripe.CardError) as refusal:
        box.card("4242424242424241")
    assert (refusal.value.code, refusal.value.param) == ("incorrect_number", "number")


def test_a_card_past_its_year(box: Box) -> None:
    card: Any = {"number": "4242424242424242", "exp_month": 1, "exp_year": 2020}
    with pytest.raises(stripe.CardError) as refusal:
        box.v1.payment_methods.create({"type": "card", "card": card})
    assert refusal.value.code == "invalid_expiry_year"


def test_a_card_that_saves_and_then_fails(box: Box) -> None:
    customer = box.customer(FAILS_LATER)
    [method] = box.v1.customers.payment_methods.list(customer.id).data
    with pytest.raises(stripe.CardError):
        box.v1.payment_intents.create(
            {
                "amount": 100,
                "currency": "usd",
                "customer": customer.id,
                "payment_method": method.id,
                "confirm": True,
            }
        )


def test_a_card_that_asks(box: Box) -> None:
    intent = pay(box, ASKS, return_url="https://harbor.test/back")
    assert intent.status == "requires_action"
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None
    page = str(intent.next_action.redirect_to_url.url)
    answer = box.http.post(page, data={"passed": "yes"})
    assert answer.headers["Location"] == "https://harbor.test/back"
    assert box.v1.payment_intents.retrieve(intent.id).status == "succeeded"
    assert box.http.get(page).status_code == 404


def test_a_card_that_asks_can_not_be_charged_off_session_before_it_was_saved(box: Box) -> None:
    with pytest.raises(stripe.CardError) as refusal:
        pay(box, ASKS, off_session=True)
    assert refusal.value.code == "authentication_required"


def test_and_can_after(box: Box) -> None:
    customer = box.customer(card=None)
    method = box.card(ASKS)
    setup = box.v1.setup_intents.create(
        {"customer": customer.id, "payment_method": method.id, "confirm": True}
    )
    assert setup.status == "requires_action"
    done = box.control("POST", "/actions/3ds", {"intent": setup.id, "passed": True})
    assert done == {"status": "succeeded"}
    intent = box.v1.payment_intents.create(
        {
            "amount": 100,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": method.id,
            "confirm": True,
            "off_session": True,
        }
    )
    assert intent.status == "succeeded"


def test_a_payer_who_refuses_may_use_another_card(box: Box) -> None:
    intent = pay(box, ASKS)
    box.control("POST", "/actions/3ds", {"intent": intent.id, "passed": False})
    waiting = box.v1.payment_intents.retrieve(intent.id)
    assert waiting.status == "requires_payment_method"
    assert waiting.last_payment_error is not None
    assert waiting.last_payment_error.code == "payment_intent_authentication_failure"
    paid = box.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert paid.status == "succeeded"


def test_an_intent_is_confirmed_once_and_then_not_canceled(box: Box) -> None:
    intent = pay(box, "4242424242424242")
    for act in (box.v1.payment_intents.confirm, box.v1.payment_intents.cancel):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            act(intent.id)
        assert refusal.value.code == "payment_intent_unexpected_state"
    assert len(box.v1.charges.list().data) == 1


def test_an_amount_below_one_is_no_amount(box: Box) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        box.v1.payment_intents.create({"amount": 0, "currency": "usd"})
    assert refusal.value.param == "amount"


def test_a_method_belongs_to_one_customer_and_is_gone_when_detached(box: Box) -> None:
    first, second = box.customer(), box.customer(card=None)
    [method] = box.v1.customers.payment_methods.list(first.id).data
    with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
        box.v1.payment_methods.attach(method.id, {"customer": second.id})

    assert box.v1.payment_methods.detach(method.id).customer is None
    assert box.v1.customers.payment_methods.list(first.id).data == []
    settings = box.v1.customers.retrieve(first.id).invoice_settings
    assert settings is not None
    assert settings.default_payment_method is None
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        box.v1.payment_methods.attach(method.id, {"customer": first.id})


def test_the_same_number_has_the_same_fingerprint(box: Box) -> None:
    prints = {box.card("4242424242424242").card.fingerprint for _ in range(2)}  # type: ignore[union-attr]
    assert len(prints) == 1


def test_a_refund_in_parts_never_exceeds_the_charge(box: Box) -> None:
    intent = pay(box, "4242424242424242", 5000)
    first = box.v1.refunds.create({"payment_intent": intent.id, "amount": 2000})
    assert (first.status, first.amount) == ("succeeded", 2000)
    charge = str(intent.latest_charge)
    found = box.v1.charges.retrieve(charge)
    assert (found.amount_refunded, found.refunded) == (2000, False)

    with pytest.raises(stripe.InvalidRequestError, match=r"\(\$30.01\) is greater than") as refusal:
        box.v1.refunds.create({"charge": charge, "amount": 3001})
    assert refusal.value.param == "amount"

    assert box.v1.refunds.create({"charge": charge}).amount == 3000
    found = box.v1.charges.retrieve(charge, {"expand": ["refunds"]})
    assert (found.amount_refunded, found.refunded) == (5000, True)
    assert found.refunds is not None
    assert [refund.amount for refund in found.refunds.data] == [3000, 2000]
    with pytest.raises(stripe.InvalidRequestError) as again:
        box.v1.refunds.create({"charge": charge})
    assert again.value.code == "charge_already_refunded"

    moved = [t.amount for t in box.v1.balance_transactions.list({"type": "refund"}).data]
    assert moved == [-3000, -2000]
    previous = [e["data"]["previous_attributes"] for e in box.events("charge.refunded")]
    assert previous == [{"amount_refunded": 0}, {"amount_refunded": 2000, "refunded": False}]


def test_a_failed_charge_can_not_be_refunded(box: Box) -> None:
    with pytest.raises(stripe.CardError):
        pay(box, "4000000000000002")
    [charge] = box.v1.charges.list().data
    with pytest.raises(stripe.InvalidRequestError):
        box.v1.refunds.create({"charge": charge.id})
    assert box.v1.refunds.list().data == []
