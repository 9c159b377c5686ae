"""The customer portal: what the customer sees and may do there."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.stripe.box import DECLINED, Box, shown


def visit(box: Box, customer: str, **more: Any) -> stripe.billing_portal.Session:
    params: Any = {"customer": customer, "return_url": "https://harbor.test/billing", **more}
    return box.v1.billing_portal.sessions.create(params)


def press(box: Box, session: stripe.billing_portal.Session, **form: str) -> httpx.Response:
    return box.http.post(session.url, data=form)


def test_it_shows_the_subscription_the_card_the_invoices_and_the_way_back(box: Box) -> None:
    subscription = box.subscribe()
    session = visit(box, str(subscription.customer))
    page = box.http.get(session.url)
    text = shown(page)
    for expected in ("Leads", "$49.00 / month", "Visa ···· 4242", "paid", "ada@example.test"):
        assert expected in text
    assert 'href="https://harbor.test/billing"' in page.text
    assert "style=" not in page.text


def test_canceling_takes_effect_at_the_end_and_can_be_taken_back(box: Box) -> None:
    subscription = box.subscribe()
    session = visit(box, str(subscription.customer))

    assert press(box, session, action="cancel", subscription=subscription.id).status_code == 303
    ending = box.subscription(subscription.id)
    [item] = ending["items"].data
    assert (ending.status, ending.cancel_at) == ("active", item.current_period_end)
    assert ending.cancel_at_period_end is False  # in the flexible billing mode it says when
    assert "Ends on" in shown(box.http.get(session.url))

    press(box, session, action="resume", subscription=subscription.id)
    assert box.subscription(subscription.id).cancel_at is None


def test_a_configuration_decides_what_is_possible(box: Box) -> None:
    subscription = box.subscribe()
    features: Any = {"subscription_cancel": {"enabled": True, "mode": "immediately"}}
    at_once = box.v1.billing_portal.configurations.create({"features": features})
    off = box.v1.billing_portal.configurations.create(
        {"features": {"subscription_cancel": {"enabled": False}}}
    )
    assert at_once.is_default is False

    refused = visit(box, str(subscription.customer), configuration=off.id)
    answer = press(box, refused, action="cancel", subscription=subscription.id)
    assert "You can't cancel here" in shown(answer)
    assert box.subscription(subscription.id).status == "active"

    allowed = visit(box, str(subscription.customer), configuration=at_once.id)
    press(box, allowed, action="cancel", subscription=subscription.id)
    assert box.subscription(subscription.id).status == "canceled"


def test_a_new_card_is_used_from_then_on(box: Box) -> None:
    subscription = box.subscribe()
    session = visit(box, str(subscription.customer))
    press(box, session, action="card", number="5555555555554444")
    customer = box.v1.customers.retrieve(
        str(subscription.customer), {"expand": ["invoice_settings.default_payment_method"]}
    )
    assert customer.invoice_settings is not None
    default = customer.invoice_settings.default_payment_method
    assert isinstance(default, stripe.PaymentMethod)
    assert box.subscription(subscription.id).default_payment_method == default.id
    assert "Mastercard ···· 4444" in shown(box.http.get(session.url))


def test_a_declined_card_is_not_taken(box: Box) -> None:
    subscription = box.subscribe()
    session = visit(box, str(subscription.customer))
    before = box.v1.customers.retrieve(str(subscription.customer)).invoice_settings
    assert "Your card was declined." in shown(press(box, session, action="card", number=DECLINED))
    assert box.v1.customers.retrieve(str(subscription.customer)).invoice_settings == before


def test_another_customers_subscription_is_out_of_reach(box: Box) -> None:
    mine, theirs = box.subscribe(), box.subscribe()
    session = visit(box, str(mine.customer))
    answer = press(box, session, action="cancel", subscription=theirs.id)
    assert "does not exist" in shown(answer)
    assert box.subscription(theirs.id).cancel_at is None


def test_a_visit_may_be_for_one_thing(box: Box) -> None:
    subscription = box.subscribe()
    flow: Any = {
        "type": "subscription_cancel",
        "subscription_cancel": {"subscription": subscription.id},
    }
    session = visit(box, str(subscription.customer), flow_data=flow)
    assert session.flow is not None
    assert session.flow.type == "subscription_cancel"


def test_a_visit_needs_a_customer_that_exists(box: Box) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        visit(box, "cus_none")
    assert (refusal.value.code, refusal.value.param) == ("resource_missing", "customer")
    assert box.http.get(f"{box.url}/stripe/portal/bps_none").status_code == 404
