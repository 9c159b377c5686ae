"""dj-stripe takes everything the sandbox emits: each event of whole lives, refetches included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from billing import mirror
from tests.contracts import violations
from tests.fixtures.processes import Sandbox
from tests.sandbox.stripe.box import DAY, DECLINED, FAILS_LATER, GOOD, Box


@pytest.fixture
def shared(sandbox: Sandbox) -> Iterator[Box]:
    """The sandbox that Harbor's settings point at, because dj-stripe calls it by itself."""
    box = Box(sandbox.url)
    box.control("POST", "/deliveries/pause", {"paused": True})
    yield box
    assert violations(sandbox.url) == []


def digest(box: Box) -> set[str]:
    """Hands every event to dj-stripe, newest first: order must not matter."""
    events = box.events()[::-1]
    for event in events:
        mirror.process(event)
    return {event["type"] for event in events}


@pytest.mark.django_db
def test_a_life_through_checkout_dunning_and_refund_is_mirrored(shared: Box) -> None:
    from djstripe import models

    customer = shared.customer(card=None)
    session = shared.checkout(shared.price().id, customer=customer.id)
    shared.pay(session, DECLINED)
    shared.pay(session, GOOD)
    [subscription] = shared.v1.subscriptions.list({"customer": customer.id}).data
    [invoice] = shared.invoices(subscription.id)
    failing = shared.card(FAILS_LATER)
    shared.v1.payment_methods.attach(failing.id, {"customer": customer.id})
    shared.v1.subscriptions.update(subscription.id, {"default_payment_method": failing.id})
    shared.wait(60 * DAY)
    [paid] = [charge for charge in shared.v1.charges.list().data if charge.paid]
    shared.v1.refunds.create({"charge": paid.id, "amount": 100})

    types = digest(shared)

    assert {"checkout.session.completed", "invoice.paid", "charge.refunded"} <= types
    assert {"customer.subscription.deleted", "invoice.payment_failed"} <= types
    assert models.Subscription.objects.get(id=subscription.id).status == "canceled"
    assert models.Invoice.objects.get(id=invoice.id).status == "paid"
    assert models.Charge.objects.get(id=paid.id).amount_refunded == 100
    assert models.Event.objects.count() == len(shared.events())


@pytest.mark.django_db
def test_a_trial_a_plan_change_and_a_deleted_customer_are_mirrored(shared: Box) -> None:
    from djstripe import models

    customer = shared.customer()
    items: Any = [{"price": shared.price(1000).id}]
    subscription = shared.v1.subscriptions.create(
        {"customer": customer.id, "items": items, "trial_period_days": 7}
    )
    shared.wait(10 * DAY)
    item = subscription["items"].data[0].id
    shared.v1.subscriptions.update(
        subscription.id, {"items": [{"id": item, "price": shared.price(2000).id}]}
    )
    shared.v1.products.update(
        str(shared.v1.prices.list().data[0].product), {"metadata": {"plan": "growth"}}
    )
    digest(shared)
    assert models.Subscription.objects.get(id=subscription.id).status == "active"
    assert models.Price.objects.count() == 2

    shared.v1.customers.delete(customer.id)
    digest(shared)
    assert models.Customer.objects.get(id=customer.id).date_purged is not None


@pytest.mark.django_db
def test_discounts_tax_schedules_and_usage_are_mirrored(shared: Box) -> None:
    from djstripe import models

    off = shared.v1.coupons.create({"percent_off": 20, "duration": "forever"})
    promotion: Any = {"type": "coupon", "coupon": off.id}
    code = shared.v1.promotion_codes.create({"promotion": promotion, "code": "SPRING"})
    meter = shared.v1.billing.meters.create(
        {
            "display_name": "Traffic",
            "event_name": "traffic",
            "default_aggregation": {"formula": "sum"},
        }
    )
    by_use: Any = {"interval": "month", "usage_type": "metered", "meter": meter.id}
    customer = shared.customer(
        address={"country": "FR"}, tax_id_data=[{"type": "eu_vat", "value": "FR12345678901"}]
    )
    items: Any = [{"price": shared.price(4900).id}, {"price": shared.price(5, recurring=by_use).id}]
    subscription = shared.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": items,
            "discounts": [{"promotion_code": code.id}],
            "automatic_tax": {"enabled": True},
        }
    )
    shared.v1.subscription_schedules.create({"from_subscription": subscription.id})
    payload = {"stripe_customer_id": customer.id, "value": "10"}
    shared.v1.billing.meter_events.create({"event_name": "traffic", "payload": payload})
    shared.wait(35 * DAY)

    types = digest(shared)

    assert {"promotion_code.created", "customer.tax_id.created", "billing.meter.created"} <= types
    assert {"subscription_schedule.released", "customer.discount.created"} <= types
    assert models.Coupon.objects.get(id=off.id).percent_off == 20
    assert models.TaxId.objects.get().value == "FR12345678901"
    totals = sorted(invoice.total for invoice in shared.invoices(subscription.id))
    assert totals == [3920, 3960]
    mirrored = models.Invoice.objects.values_list("stripe_data__total", flat=True)
    assert sorted(mirrored) == totals
