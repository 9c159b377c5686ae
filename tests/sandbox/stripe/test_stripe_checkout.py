"""Checkout in a browser: the payer's ways through the page, and what each leaves behind."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.box import ASKS, DAY, DECLINED, FAILS_LATER, GOOD, Box, shown


def test_the_page_shows_what_is_bought_and_takes_the_payer_back(box: Box) -> None:
    session = box.checkout(box.price(4900).id)
    page = box.http.get(str(session.url))
    assert page.status_code == 200
    assert "$49.00" in shown(page)
    assert "Leads" in shown(page)
    assert 'href="https://harbor.test/plans"' in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_a_good_card_subscribes(box: Box) -> None:
    customer = box.customer(card=None)
    data: Any = {"metadata": {"brand": "7"}}
    session = box.checkout(
        box.price().id, customer=customer.id, client_reference_id="7", subscription_data=data
    )
    assert (session.status, session.payment_status, session.subscription) == (
        "open",
        "unpaid",
        None,
    )

    answer = box.pay(session)

    assert answer.status_code == 303
    assert answer.headers["Location"] == f"https://harbor.test/done?session={session.id}"
    done = box.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["subscription.latest_invoice", "line_items"]}
    )
    assert (done.status, done.payment_status, done.url) == ("complete", "paid", None)
    assert done.client_reference_id == "7"
    assert done.line_items is not None
    assert [item.amount_total for item in done.line_items.data] == [4900]
    subscription = done.subscription
    assert isinstance(subscription, stripe.Subscription)
    assert (subscription.status, subscription.customer) == ("active", customer.id)
    assert subscription.metadata["brand"] == "7"
    assert subscription.default_payment_method is not None
    invoice = subscription.latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert (invoice.status, invoice.amount_paid, invoice.billing_reason) == (
        "paid",
        4900,
        "subscription_create",
    )


def test_it_says_what_happened_in_events(box: Box) -> None:
    box.pay(box.checkout(box.price().id, customer=box.customer(card=None).id))
    types = box.event_types()
    for kind in (
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "payment_intent.created",
        "charge.succeeded",
        "payment_method.attached",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
        "checkout.session.completed",
    ):
        assert types.count(kind) == 1, kind
    assert types[-1] == "checkout.session.completed"
    first = box.events("customer.subscription.created")[0]["data"]["object"]
    assert first["status"] == "incomplete"
    activated = box.events("customer.subscription.updated")[0]["data"]
    assert activated["previous_attributes"] == {"status": "incomplete"}


def test_a_declined_card_may_be_followed_by_a_good_one(box: Box) -> None:
    customer = box.customer(card=None)
    session = box.checkout(box.price().id, customer=customer.id)

    refused = box.pay(session, DECLINED)
    assert refused.status_code == 402
    assert "Your card was declined." in shown(refused)
    [waiting] = box.v1.subscriptions.list({"customer": customer.id}).data
    assert waiting.status == "incomplete"
    assert box.v1.checkout.sessions.retrieve(session.id).status == "open"

    assert box.pay(session, GOOD).status_code == 303
    [subscription] = box.v1.subscriptions.list({"customer": customer.id, "status": "all"}).data
    assert (subscription.id, subscription.status) == (waiting.id, "active")
    assert len(box.invoices(subscription.id)) == 1
    assert box.event_types().count("checkout.session.completed") == 1


def test_a_typed_number_wins_over_the_choice(box: Box) -> None:
    session = box.checkout(box.price().id, customer=box.customer(card=None).id)
    answer = box.pay(session, GOOD, number="4000 0000 0000 9995")
    assert "Your card has insufficient funds." in shown(answer)
    assert "Your card number is incorrect." in shown(box.pay(session, number="4242424242424241"))


@pytest.mark.parametrize(("passed", "status"), [("yes", "active"), ("no", "incomplete")])
def test_the_bank_may_ask_and_the_payer_may_refuse(box: Box, passed: str, status: str) -> None:
    customer = box.customer(card=None)
    session = box.checkout(box.price().id, customer=customer.id)
    bank = box.pay(session, ASKS).headers["Location"]
    assert "/stripe/3ds/pi_" in bank
    assert "$49.00" in shown(box.http.get(bank))
    [subscription] = box.v1.subscriptions.list({"customer": customer.id}).data
    assert subscription.status == "incomplete"

    back = box.http.post(bank, data={"passed": passed}).headers["Location"]
    final = box.http.get(back)

    assert box.subscription(subscription.id).status == status
    if passed == "yes":
        assert final.headers["Location"] == f"https://harbor.test/done?session={session.id}"
    else:
        assert "unable to authenticate" in shown(final)
        assert box.pay(session, GOOD).status_code == 303
        assert box.subscription(subscription.id).status == "active"


def test_a_payer_without_a_customer_becomes_one(box: Box) -> None:
    session = box.checkout(box.price().id, customer_email="grace@example.test")
    box.pay(session, name="Grace")
    [customer] = box.v1.customers.list().data
    assert (customer.email, customer.name) == ("grace@example.test", "Grace")
    done = box.v1.checkout.sessions.retrieve(session.id)
    assert done.customer == customer.id
    assert done.customer_details is not None
    assert done.customer_details.email == "grace@example.test"


def test_a_trial_saves_the_card_and_charges_nothing(box: Box) -> None:
    session = box.checkout(
        box.price().id,
        customer=box.customer(card=None).id,
        subscription_data={"trial_period_days": 14},
    )
    assert "14 days free, then $49.00 every month" in shown(box.http.get(str(session.url)))
    box.pay(session)
    done = box.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]})
    assert (done.payment_status, done.amount_total) == ("no_payment_required", 0)
    assert isinstance(done.subscription, stripe.Subscription)
    assert done.subscription.status == "trialing"
    assert done.subscription.trial_end == done.subscription["items"].data[0].current_period_end
    assert box.v1.charges.list().data == []
    assert [invoice.total for invoice in box.invoices(done.subscription.id)] == [0]

    box.wait(14 * DAY + 3700)
    assert box.subscription(done.subscription.id).status == "active"
    assert [charge.amount for charge in box.v1.charges.list().data] == [4900]


def test_a_trial_refuses_a_card_that_the_issuer_refuses(box: Box) -> None:
    session = box.checkout(
        box.price().id,
        customer=box.customer(card=None).id,
        subscription_data={"trial_period_days": 14},
    )
    assert "Your card was declined." in shown(box.pay(session, DECLINED))
    assert "setup_intent.setup_failed" in box.event_types()
    assert box.pay(session, FAILS_LATER).status_code == 303


def test_a_one_time_payment(box: Box) -> None:
    session = box.checkout(
        box.price(1500, recurring=None).id, mode="payment", customer=box.customer(card=None).id
    )
    box.pay(session)
    done = box.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert isinstance(done.payment_intent, stripe.PaymentIntent)
    assert (done.payment_intent.status, done.payment_intent.amount_received) == ("succeeded", 1500)
    assert (done.status, done.payment_status, done.subscription) == ("complete", "paid", None)


def test_setup_mode_saves_a_card(box: Box) -> None:
    customer = box.customer(card=None)
    params: Any = {"mode": "setup", "customer": customer.id, "currency": "usd"}
    session = box.v1.checkout.sessions.create({**params, "success_url": "https://harbor.test/ok"})
    assert box.pay(session).headers["Location"] == "https://harbor.test/ok"
    done = box.v1.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent"]})
    assert isinstance(done.setup_intent, stripe.SetupIntent)
    assert done.setup_intent.status == "succeeded"
    cards = box.v1.customers.payment_methods.list(customer.id).data
    assert [card.id for card in cards] == [done.setup_intent.payment_method]


def test_zero_decimal_currencies_are_shown_and_charged_whole(box: Box) -> None:
    price = box.price(4900, currency_options={"jpy": {"unit_amount": 7000}})
    session = box.checkout(price.id, currency="jpy", customer=box.customer(card=None).id)
    assert "¥7,000" in shown(box.http.get(str(session.url)))
    box.pay(session)
    [charge] = box.v1.charges.list().data
    assert (charge.amount, charge.currency) == (7000, "jpy")


def test_an_abandoned_session_expires_after_a_day(box: Box) -> None:
    session = box.checkout(box.price().id)
    url = str(session.url)
    box.wait(DAY + 1)
    expired = box.v1.checkout.sessions.retrieve(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    assert box.event_types()[-1] == "checkout.session.expired"
    assert "expired" in shown(box.http.get(url))
    assert box.http.post(url, data={"card": GOOD}).status_code == 402
    assert box.v1.charges.list().data == []


def test_a_session_can_be_expired_once(box: Box) -> None:
    session = box.checkout(box.price().id)
    assert box.v1.checkout.sessions.expire(session.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError):
        box.v1.checkout.sessions.expire(session.id)


def test_a_page_that_was_paid_leads_on_and_charges_nobody_twice(box: Box) -> None:
    session = box.checkout(box.price().id, customer=box.customer(card=None).id)
    box.pay(session)
    again = box.pay(session)
    assert again.status_code == 402
    assert "no longer active" in shown(again)
    assert box.http.get(str(session.url)).headers["Location"].startswith("https://harbor.test/done")
    assert len(box.v1.charges.list().data) == 1


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"mode": None}, "mode"),
        ({"line_items": None}, "line_items"),
        ({"success_url": None}, "success_url"),
        ({"mode": "payment"}, "mode"),
        ({"expires_at": 5}, "expires_at"),
    ],
)
def test_what_a_session_needs(box: Box, change: dict[str, Any], param: str) -> None:
    price = box.price().id
    params: dict[str, Any] = {
        "mode": "subscription",
        "line_items": [{"price": price}],
        "success_url": "https://harbor.test/",
        **change,
    }
    sent: Any = {name: value for name, value in params.items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        box.v1.checkout.sessions.create(sent)
    assert refusal.value.param == param
