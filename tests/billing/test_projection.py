"""Events late, doubled, shuffled and lost: the projection ends where Stripe is."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import management
from django.db import connection

from billing import checkout, inbox, projection, standing
from billing.models import BillingAccount, Invoice, StripeInbox, Subscription
from saas.tenancy import everyone, scope
from tests.billing.conftest import FAILS_LATER, Stripe

pytestmark = pytest.mark.usefixtures("catalog")


def subscribe(brand: Any, owner: Any, stripe: Stripe, **paid: Any) -> None:
    url = checkout.start(brand=brand, plan="leads_growth", currency="usd", actor=owner)
    assert stripe.pay(url, **paid).status_code == 303


def state(brand: Any) -> tuple[Any, ...]:
    with scope(brand):
        account = BillingAccount.objects.get()
        rows = Subscription.objects.values_list("status", "cancel_at_period_end", "amount")
        invoices = Invoice.objects.order_by("stripe_id").values_list("status", "amount_paid")
        return account.plan, account.standing, list(rows), list(invoices)


@pytest.mark.parametrize("seed", [1, 2])
def test_order_and_copies_make_no_difference(
    brand: Any, owner: Any, stripe: Stripe, seed: int
) -> None:
    subscribe(brand, owner, stripe)
    stripe.advance(32)
    stripe.deliver(shuffled=seed, copies=2)
    expected = (
        "leads_growth",
        "active",
        [("active", False, 14_900)],
        [("paid", 14_900), ("paid", 14_900)],
    )
    assert state(brand) == expected
    StripeInbox.objects.update(state="pending")  # a replay of everything, long after
    inbox.drain()
    assert state(brand) == expected


def test_an_older_fetch_never_overwrites_a_newer_one(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    subscribe(brand, owner, stripe)
    stripe.deliver()
    found = stripe.objects("subscriptions")[0]
    old = projection.ticket()
    with scope(brand):
        projection.write_subscription(
            standing.locked(brand.pk), {**found, "status": "past_due"}, projection.ticket()
        )
        projection.write_subscription(standing.locked(brand.pk), found, old)
    assert state(brand)[1] == "past_due"


def test_a_failed_renewal_gives_grace_then_suspends_then_restores(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    from datetime import timedelta

    from django.utils import timezone

    subscribe(brand, owner, stripe)
    stripe.deliver()
    with scope(brand):
        account = standing.locked(brand.pk)
        row = Subscription.objects.get()
        row.status, row.past_due_since = "past_due", timezone.now()
        row.save()
        standing.settle(account, now=timezone.now())
    assert state(brand)[1] == "past_due"
    time_machine.move_to(timezone.now() + timedelta(days=8), tick=False)
    assert standing.sweep() == 1
    assert state(brand)[1] == "downgraded"
    time_machine.move_to(timezone.now() - timedelta(days=8), tick=False)
    projection.subscription(row.stripe_id)
    assert state(brand)[1] == "active"


def test_a_card_that_fails_later(brand: Any, owner: Any, stripe: Stripe) -> None:
    assert stripe.pay(
        checkout.start(brand=brand, plan="leads_growth", currency="usd", actor=owner),
        card=FAILS_LATER,
    ).status_code in (303, 402)
    stripe.deliver()
    assert state(brand)[1] == "trialing"


def test_events_that_never_came_are_caught_up(brand: Any, owner: Any, stripe: Stripe) -> None:
    subscribe(brand, owner, stripe)
    assert stripe.pending()  # lost on the way
    assert state(brand)[1] == "trialing"
    taken = inbox.catch_up()
    assert taken > 3
    inbox.drain()
    assert state(brand)[1] == "active"
    assert inbox.catch_up() == 0


def test_a_customer_deleted_at_stripe_is_forgotten_and_not_deleted_again(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    from billing import gateway

    subscribe(brand, owner, stripe)
    stripe.deliver()
    with scope(brand):
        customer = BillingAccount.objects.get().stripe_customer
    gateway.write("delete", f"/v1/customers/{customer}", {}, key="dashboard")
    before = stripe.writes()
    stripe.deliver()
    assert stripe.writes() == before
    with scope(brand):
        account = BillingAccount.objects.get()
    assert (account.stripe_customer, account.standing) == (None, "canceled")
    assert list(StripeInbox.objects.exclude(state="done").values_list("type", "last_error")) == []
    subscribe(brand, owner, stripe)
    stripe.deliver()
    assert state(brand)[1] == "active"


def test_the_mirror_follows_and_never_sees_the_key(
    brand: Any, owner: Any, stripe: Stripe, settings: Any
) -> None:
    from djstripe.models import APIKey, Customer, Event
    from djstripe.models import Subscription as Mirrored

    subscribe(brand, owner, stripe)
    stripe.deliver()
    worked = set(StripeInbox.objects.values_list("event_id", flat=True))
    assert set(Event.objects.values_list("id", flat=True)) <= worked
    assert Mirrored.objects.count() == Customer.objects.count() == 1
    assert not APIKey.objects.exists()
    with everyone("look for the key"), connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE %s',
                [f"%{settings.STRIPE_SECRET_KEY}%"],
            )
            assert cursor.fetchone() == (0,), table


def test_the_catalog_is_synced_once(stripe: Stripe) -> None:
    before = stripe.writes()
    management.call_command("sync_catalog", verbosity=0, yes=True)
    assert stripe.writes() == before
