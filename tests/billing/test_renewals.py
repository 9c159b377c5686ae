"""Renewals whose webhook never came, and events that were worked long ago."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import checkout, gateway, inbox, renewals
from billing.models import BillingAccount, Invoice, StripeInbox, Subscription
from saas.tenancy import scope
from tests.billing.conftest import Stripe, pass_days

pytestmark = pytest.mark.usefixtures("catalog")


def subscribe(brand: Any, owner: Any, stripe: Stripe) -> None:
    url = checkout.start(brand=brand, plan="leads_growth", currency="usd", actor=owner)
    assert stripe.pay(url).status_code == 303
    stripe.deliver()


def test_a_renewal_without_news_is_found(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    subscribe(brand, owner, stripe)
    with scope(brand):
        before = Subscription.objects.get().current_period_end
    assert renewals.sweep() == (0, 0)
    pass_days(stripe, time_machine, 32, told=False)
    assert renewals.sweep() == (1, 1)
    with scope(brand):
        assert Subscription.objects.get().current_period_end > before
        assert Invoice.objects.filter(status="paid").count() == 2
    assert renewals.sweep() == (0, 0)


def test_a_renewal_that_failed_without_news_begins_the_grace(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    subscribe(brand, owner, stripe)
    [held] = stripe.objects("subscriptions")
    card = gateway.write(
        "post",
        "/v1/payment_methods/pm_card_chargeCustomerFail/attach",
        {"customer": held["customer"]},
        key="attach",
    )
    path = f"/v1/subscriptions/{held['id']}"
    gateway.write("post", path, {"default_payment_method": card["id"]}, key="card")
    pass_days(stripe, time_machine, 32, told=False)
    renewals.sweep()
    with scope(brand):
        assert BillingAccount.objects.get().standing == "past_due"


def test_what_stripe_does_not_know_goes_behind_the_others(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    subscribe(brand, owner, stripe)
    with scope(brand):
        Subscription.objects.create(
            stripe_id="sub_unknown", status="active", plan="leads_growth", currency="usd",
            amount=1, current_period_end=timezone.now() - timedelta(days=1), duplicate=True,
            started_at=timezone.now(), version=0,
        )  # fmt: skip
    pass_days(stripe, time_machine, 32, told=False)
    assert renewals.sweep(limit=1) == (1, 0)
    assert renewals.sweep(limit=1) == (1, 1)


def test_worked_events_go_after_ninety_days_and_parked_ones_stay(db: None) -> None:
    old, now = timezone.now() - inbox.KEPT - timedelta(hours=1), timezone.now()
    for number, (state, at) in enumerate(
        [("done", old), ("ignored", old), ("parked", old), ("pending", old), ("done", now)]
    ):
        row = StripeInbox.objects.create(
            event_id=f"evt_{number}", type="invoice.paid", body="{}", state=state, created=at
        )
        StripeInbox.objects.filter(pk=row.pk).update(received_at=at)
    assert inbox.prune() == 2
    assert set(StripeInbox.objects.values_list("event_id", flat=True)) == {
        "evt_2",
        "evt_3",
        "evt_4",
    }
    assert inbox.prune() == 0


def test_the_newest_event_stays_for_the_catch_up(db: None) -> None:
    old = timezone.now() - inbox.KEPT - timedelta(hours=1)
    StripeInbox.objects.create(event_id="evt_1", type="a", body="{}", state="done", created=old)
    StripeInbox.objects.update(received_at=old)
    assert inbox.prune() == 0
