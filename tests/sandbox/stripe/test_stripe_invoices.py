"""Invoices, previews and proration: the sums, and that a preview is what then happens."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.box import DAY, FAILS_LATER, Box

YEAR = {"interval": "year"}


def item(subscription: stripe.Subscription) -> str:
    identifier: str = subscription["items"].data[0].id
    return identifier


def amounts(invoice: stripe.Invoice) -> list[int]:
    return [line.amount for line in invoice.lines.data]


def halfway(box: Box, subscription: stripe.Subscription) -> None:
    row = subscription["items"].data[0]
    box.wait_until((row.current_period_start + row.current_period_end) // 2)


def test_the_next_invoice_is_previewed_without_being_made(box: Box) -> None:
    subscription = box.subscribe()
    before = box.event_types()
    preview = box.v1.invoices.create_preview({"subscription": subscription.id})
    assert (preview.total, preview.status, preview.number) == (4900, "draft", None)
    assert preview.billing_reason == "upcoming"
    end = subscription["items"].data[0].current_period_end
    assert preview.lines.data[0].period.start == end
    assert len(box.invoices(subscription.id)) == 1
    assert box.event_types() == before


def test_a_subscription_that_ends_has_no_next_invoice(box: Box) -> None:
    subscription = box.subscribe()
    box.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        box.v1.invoices.create_preview({"subscription": subscription.id})
    assert (refusal.value.code, refusal.value.http_status) == ("invoice_upcoming_none", 404)


def test_an_upgrade_halfway_credits_half_and_charges_half(box: Box) -> None:
    """Stripe's example: from $10 to $20 in the middle of the month is $5 more."""
    subscription = box.subscribe(amount=1000)
    dearer = box.price(2000, name="Growth")
    halfway(box, subscription)
    box.v1.subscriptions.update(
        subscription.id, {"items": [{"id": item(subscription), "price": dearer.id}]}
    )
    preview = box.v1.invoices.create_preview({"subscription": subscription.id})
    by_amount = sorted(amounts(preview))
    assert by_amount == [-500, 1000, 2000]
    assert preview.total == 2500

    end = subscription["items"].data[0].current_period_end
    box.wait_until(end + 3600)
    renewal = box.invoices(subscription.id)[-1]
    assert sorted(amounts(renewal)) == by_amount
    assert (renewal.status, renewal.amount_paid) == ("paid", 2500)
    words = [line.description or "" for line in renewal.lines.data]
    assert any(text.startswith("Unused time on Leads after ") for text in words)
    assert any(text.startswith("Remaining time on Growth after ") for text in words)
    box.wait(31 * DAY)
    assert box.invoices(subscription.id)[-1].total == 2000


def test_an_upgrade_paid_at_once_costs_what_the_preview_said(box: Box) -> None:
    subscription = box.subscribe(amount=1000)
    dearer = box.price(2000, name="Growth")
    halfway(box, subscription)
    when = box.now
    items: Any = [{"id": item(subscription), "price": dearer.id, "quantity": 3}]
    change: Any = {
        "items": items,
        "proration_behavior": "always_invoice",
        "proration_date": when,
    }
    preview = box.v1.invoices.create_preview(
        {"subscription": subscription.id, "subscription_details": change}
    )
    assert box.subscription(subscription.id)["items"].data[0].quantity == 1

    changed = box.v1.subscriptions.update(subscription.id, change)

    made = box.v1.invoices.retrieve(str(changed.latest_invoice))
    assert (made.total, amounts(made)) == (preview.total, amounts(preview))
    assert made.total == 2500
    assert (made.status, made.billing_reason) == ("paid", "subscription_update")


def test_no_proration_when_not_wanted(box: Box) -> None:
    subscription = box.subscribe(amount=1000)
    halfway(box, subscription)
    box.v1.subscriptions.update(
        subscription.id,
        {
            "items": [{"id": item(subscription), "price": box.price(2000).id}],
            "proration_behavior": "none",
        },
    )
    assert box.v1.invoices.create_preview({"subscription": subscription.id}).total == 2000
    assert box.v1.invoice_items.list().data == []


def test_a_change_of_interval_begins_a_new_period_and_is_billed_now(box: Box) -> None:
    subscription = box.subscribe(amount=1000)
    yearly = box.price(10_000, recurring=YEAR, name="Growth")
    halfway(box, subscription)
    changed = box.v1.subscriptions.update(
        subscription.id, {"items": [{"id": item(subscription), "price": yearly.id}]}
    )
    row = changed["items"].data[0]
    assert 364 * DAY < row.current_period_end - row.current_period_start < 367 * DAY
    made = box.v1.invoices.retrieve(str(changed.latest_invoice))
    assert sorted(amounts(made)) == [-500, 10_000]
    assert (made.status, made.amount_paid) == ("paid", 9500)


def test_a_credit_is_kept_for_the_next_invoice(box: Box) -> None:
    subscription = box.subscribe(amount=10_000)
    halfway(box, subscription)
    box.v1.subscriptions.update(
        subscription.id,
        {
            "items": [{"id": item(subscription), "price": box.price(1000).id}],
            "proration_behavior": "always_invoice",
        },
    )
    credit = box.invoices(subscription.id)[-1]
    assert (credit.total, credit.amount_due, credit.status) == (-4500, 0, "paid")
    assert box.v1.customers.retrieve(str(subscription.customer)).balance == -4500
    box.wait(32 * DAY)
    renewal = box.invoices(subscription.id)[-1]
    assert (renewal.total, renewal.starting_balance, renewal.amount_due) == (1000, -4500, 0)
    assert box.v1.customers.retrieve(str(subscription.customer)).balance == -3500


def test_a_failed_upgrade_that_must_be_paid_changes_nothing(box: Box) -> None:
    subscription = box.subscribe(amount=1000)
    box.give_card(str(subscription.customer), FAILS_LATER)
    halfway(box, subscription)
    with pytest.raises(stripe.CardError):
        box.v1.subscriptions.update(
            subscription.id,
            {
                "items": [{"id": item(subscription), "price": box.price(2000).id}],
                "proration_behavior": "always_invoice",
                "payment_behavior": "error_if_incomplete",
            },
        )
    found = box.subscription(subscription.id)
    assert (found.status, found["items"].data[0].price.unit_amount) == ("active", 1000)
    assert len(box.invoices(subscription.id)) == 1


def test_a_new_subscription_can_be_previewed(box: Box) -> None:
    customer = box.customer()
    details: Any = {"items": [{"price": box.price(4900).id, "quantity": 2}]}
    preview = box.v1.invoices.create_preview(
        {"customer": customer.id, "subscription_details": details}
    )
    assert preview.total == 9800
    assert box.v1.subscriptions.list({"status": "all"}).data == []


def test_an_invoice_ties_itself_to_its_subscription_and_its_payment(box: Box) -> None:
    subscription = box.subscribe()
    [invoice] = box.invoices(subscription.id)
    assert invoice.parent is not None
    assert invoice.parent.subscription_details is not None
    assert invoice.parent.subscription_details.subscription == subscription.id
    [payment] = box.v1.invoice_payments.list({"invoice": invoice.id}).data
    assert (payment.status, payment.amount_paid) == ("paid", 4900)
    intent = str(payment.payment.payment_intent)
    by_intent: Any = {"payment": {"type": "payment_intent", "payment_intent": intent}}
    assert [p.id for p in box.v1.invoice_payments.list(by_intent).data] == [payment.id]
    page = box.http.get(str(invoice.hosted_invoice_url))
    assert page.status_code == 200
    assert str(invoice.number) in page.text


def open_invoice(box: Box) -> stripe.Invoice:
    subscription = box.subscribe()
    box.give_card(str(subscription.customer), FAILS_LATER)
    box.wait_until(subscription["items"].data[0].current_period_end + 3600)
    return box.invoices(subscription.id)[-1]


def test_an_invoice_is_paid_once(box: Box) -> None:
    invoice = open_invoice(box)
    with pytest.raises(stripe.CardError):
        box.v1.invoices.pay(invoice.id)
    assert box.v1.invoices.retrieve(invoice.id).attempt_count == 1
    box.v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        box.v1.invoices.pay(invoice.id)
    found = box.v1.invoices.retrieve(invoice.id)
    assert (found.status, found.amount_paid, found.amount_paid_off_stripe) == ("paid", 0, 4900)


def test_an_open_invoice_can_be_voided_or_given_up(box: Box) -> None:
    invoice = open_invoice(box)
    assert box.v1.invoices.mark_uncollectible(invoice.id).status == "uncollectible"
    voided = box.v1.invoices.void_invoice(invoice.id)
    assert (voided.status, voided.amount_remaining) == ("void", 0)
    with pytest.raises(stripe.InvalidRequestError):
        box.v1.invoices.void_invoice(invoice.id)
    [payment] = box.v1.invoice_payments.list({"invoice": invoice.id}).data
    assert payment.status == "canceled"


def test_items_come_change_and_go_by_themselves(box: Box) -> None:
    subscription = box.subscribe(amount=1000)
    extra = box.price(600, name="VPN")
    halfway(box, subscription)

    added = box.v1.subscription_items.create({"subscription": subscription.id, "price": extra.id})
    box.v1.subscription_items.update(added.id, {"quantity": 2, "proration_behavior": "none"})

    assert box.v1.subscription_items.retrieve(added.id).quantity == 2
    rows = box.v1.subscription_items.list({"subscription": subscription.id}).data
    assert [row.price.unit_amount for row in rows] == [1000, 600]
    preview = box.v1.invoices.create_preview({"subscription": subscription.id})
    assert sorted(amounts(preview)) == [300, 1000, 1200]

    deleted = box.v1.subscription_items.delete(added.id, {"proration_behavior": "none"})
    assert deleted.deleted is True
    with pytest.raises(stripe.InvalidRequestError, match="at least one active item"):
        box.v1.subscription_items.delete(item(subscription))


def test_what_waits_for_the_next_invoice_can_be_looked_at(box: Box) -> None:
    subscription = box.subscribe(amount=1000)
    halfway(box, subscription)
    box.v1.subscriptions.update(
        subscription.id, {"items": [{"id": item(subscription), "quantity": 2}]}
    )
    waiting = box.v1.invoice_items.list({"customer": str(subscription.customer)}).data
    assert sorted(entry.amount for entry in waiting) == [-500, 1000]
    assert box.v1.invoice_items.retrieve(waiting[0].id).proration is True
