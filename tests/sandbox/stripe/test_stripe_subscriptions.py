"""A subscription's life on the simulated clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.box import ASKS, DAY, DECLINED, FAILS_LATER, Box

HOUR = 3600


def period(subscription: stripe.Subscription) -> tuple[int, int]:
    item = subscription["items"].data[0]
    return item.current_period_start, item.current_period_end


def at(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, 12, tzinfo=UTC).timestamp())


def day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


def totals(box: Box, subscription: str) -> list[tuple[str | None, int]]:
    return [(invoice.status, invoice.total) for invoice in box.invoices(subscription)]


def next_january() -> int:
    """The coming 31 January; tests wait for it, because the clock only moves forward."""
    return at(datetime.now(UTC).year + 1, 1, 31)


def test_a_good_card_starts_it_at_once(box: Box) -> None:
    subscription = box.subscribe()
    assert subscription.status == "active"
    assert totals(box, subscription.id) == [("paid", 4900)]
    assert subscription.billing_mode.type == "flexible"


def test_each_month_is_a_draft_for_an_hour_and_then_paid(box: Box) -> None:
    subscription = box.subscribe()
    start, end = period(subscription)

    box.wait_until(end)
    renewed = box.subscription(subscription.id)
    assert period(renewed)[0] == end
    assert renewed.status == "active"
    assert totals(box, subscription.id) == [("paid", 4900), ("draft", 4900)]

    box.wait(HOUR)
    assert totals(box, subscription.id) == [("paid", 4900), ("paid", 4900)]
    first, second = box.invoices(subscription.id)
    assert second.billing_reason == "subscription_cycle"
    assert (first.number or "")[-4:] == "0001"
    assert (second.number or "")[-4:] == "0002"
    line = second.lines.data[0]
    assert (line.period.start, line.period.end) == period(renewed)
    updates = box.events("customer.subscription.updated")
    before = updates[-1]["data"]["previous_attributes"]
    assert before["items"]["data"][0]["current_period_start"] == start
    assert before["latest_invoice"] == first.id


def test_months_are_counted_from_the_anchor(box: Box) -> None:
    box.wait_until(next_january())
    subscription = box.subscribe()
    year = datetime.fromtimestamp(box.now, UTC).year
    ends = []
    for _ in range(3):
        end = period(box.subscription(subscription.id))[1]
        ends.append(day(end))
        box.wait_until(end + HOUR)
    last = "29" if year % 4 == 0 else "28"
    assert ends == [f"{year}-02-{last}", f"{year}-03-31", f"{year}-04-30"]


def test_advancing_far_runs_every_month_between(box: Box) -> None:
    subscription = box.subscribe()
    box.wait(370 * DAY)
    assert totals(box, subscription.id) == [("paid", 4900)] * 13
    created = [invoice.created for invoice in box.invoices(subscription.id)]
    assert created == sorted(created)
    assert len(set(created)) == 13


def test_cancel_at_period_end_and_change_of_mind(box: Box) -> None:
    subscription = box.subscribe()
    end = period(subscription)[1]
    canceling = box.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert (canceling.status, canceling.cancel_at, canceling.cancel_at_period_end) == (
        "active",
        end,
        True,
    )
    kept = box.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    assert (kept.cancel_at, kept.canceled_at) == (None, None)

    box.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    box.wait_until(end)

    ended = box.subscription(subscription.id)
    assert (ended.status, ended.ended_at) == ("canceled", end)
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.reason == "cancellation_requested"
    assert box.event_types()[-1] == "customer.subscription.deleted"
    assert totals(box, subscription.id) == [("paid", 4900)]
    assert box.v1.subscriptions.list().data == []
    everything = box.v1.subscriptions.list({"status": "all"}).data
    assert [found.id for found in everything] == [subscription.id]


def test_canceling_now_ends_it_now_and_only_once(box: Box) -> None:
    subscription = box.subscribe()
    assert box.v1.subscriptions.cancel(subscription.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        box.v1.subscriptions.cancel(subscription.id)
    assert refusal.value.code == "resource_missing"
    with pytest.raises(stripe.InvalidRequestError):
        box.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})


def test_a_card_that_fails_later_falls_behind_retries_and_is_canceled(box: Box) -> None:
    subscription = box.subscribe()
    box.give_card(str(subscription.customer), FAILS_LATER)
    start = period(subscription)[1]
    box.wait_until(start + HOUR)

    behind = box.subscription(subscription.id)
    assert behind.status == "past_due"
    invoice = box.invoices(subscription.id)[-1]
    assert (invoice.status, invoice.attempt_count) == ("open", 1)
    assert invoice.next_payment_attempt == start + HOUR + 3 * DAY
    assert box.v1.customers.retrieve(str(subscription.customer)).delinquent is True

    box.wait(3 * DAY)
    assert box.v1.invoices.retrieve(invoice.id).attempt_count == 2
    box.wait(5 * DAY)
    assert box.v1.invoices.retrieve(invoice.id).attempt_count == 3
    box.wait(7 * DAY)

    ended = box.subscription(subscription.id)
    assert ended.status == "canceled"
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.reason == "payment_failed"
    last = box.v1.invoices.retrieve(invoice.id)
    assert (last.status, last.attempt_count, last.next_payment_attempt) == ("open", 4, None)
    assert box.event_types().count("invoice.payment_failed") == 4


@pytest.mark.parametrize("setting", ["unpaid", "past_due"])
def test_or_it_is_kept_as_the_settings_say(box: Box, setting: str) -> None:
    box.control("POST", "/settings", {"dunning_end": setting})
    subscription = box.subscribe()
    box.give_card(str(subscription.customer), FAILS_LATER)
    box.wait_until(period(subscription)[1] + HOUR + 15 * DAY)
    assert box.subscription(subscription.id).status == setting


def test_paying_the_open_invoice_brings_it_back(box: Box) -> None:
    subscription = box.subscribe()
    customer = str(subscription.customer)
    box.give_card(customer, FAILS_LATER)
    box.wait_until(period(subscription)[1] + HOUR)
    invoice = box.invoices(subscription.id)[-1]
    box.give_card(customer, "4242424242424242")

    paid = box.v1.invoices.pay(invoice.id)

    assert (paid.status, paid.amount_paid) == ("paid", 4900)
    assert box.subscription(subscription.id).status == "active"
    assert box.v1.customers.retrieve(customer).delinquent is False
    box.wait(20 * DAY)
    assert len(box.v1.charges.list({"customer": customer}).data) == 3


def test_a_retry_with_a_new_card_recovers_by_itself(box: Box) -> None:
    subscription = box.subscribe()
    box.give_card(str(subscription.customer), FAILS_LATER)
    box.wait_until(period(subscription)[1] + HOUR)
    box.give_card(str(subscription.customer), "4242424242424242")
    box.wait(3 * DAY)
    assert box.subscription(subscription.id).status == "active"


def test_a_trial_warns_three_days_before_and_then_bills(box: Box) -> None:
    subscription = box.subscribe(trial_period_days=14)
    assert subscription.status == "trialing"
    assert totals(box, subscription.id) == [("paid", 0)]
    trial_end = subscription.trial_end
    assert trial_end is not None

    box.wait_until(trial_end - 3 * DAY - 1)
    assert "customer.subscription.trial_will_end" not in box.event_types()
    box.wait(1)
    assert box.event_types()[-1] == "customer.subscription.trial_will_end"

    box.wait_until(trial_end)
    started = box.subscription(subscription.id)
    assert (started.status, started.billing_cycle_anchor) == ("active", trial_end)
    box.wait(HOUR)
    assert totals(box, subscription.id) == [("paid", 0), ("paid", 4900)]


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [("cancel", "canceled"), ("pause", "paused"), ("create_invoice", "past_due")],
)
def test_a_trial_without_a_card_ends_as_its_settings_say(
    box: Box, behaviour: str, status: str
) -> None:
    customer = box.customer(card=None)
    params: Any = {
        "customer": customer.id,
        "items": [{"price": box.price().id}],
        "trial_period_days": 7,
        "trial_settings": {"end_behavior": {"missing_payment_method": behaviour}},
    }
    subscription = box.v1.subscriptions.create(params)
    box.wait(7 * DAY + HOUR)
    assert box.subscription(subscription.id).status == status


def test_a_paused_subscription_resumes_with_a_new_period(box: Box) -> None:
    customer = box.customer(card=None)
    params: Any = {
        "customer": customer.id,
        "items": [{"price": box.price().id}],
        "trial_period_days": 7,
        "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}},
    }
    subscription = box.v1.subscriptions.create(params)
    box.wait(10 * DAY)
    box.give_card(customer.id, "4242424242424242")
    resumed = box.v1.subscriptions.resume(subscription.id)
    assert resumed.status == "active"
    assert period(resumed)[0] == resumed.billing_cycle_anchor
    box.wait(HOUR + 5)
    assert totals(box, subscription.id) == [("paid", 0), ("paid", 4900)]


@pytest.mark.parametrize(
    ("card", "behaviour", "status"),
    [
        (FAILS_LATER, "allow_incomplete", "incomplete"),
        (ASKS, "allow_incomplete", "incomplete"),
        ("4000002760003184", "allow_incomplete", "incomplete"),
        ("4242424242424242", "default_incomplete", "incomplete"),
    ],
)
def test_the_first_payment_decides(box: Box, card: str, behaviour: str, status: str) -> None:
    subscription = box.subscribe(card, payment_behavior=behaviour)
    assert subscription.status == status


def test_all_or_nothing_leaves_nothing(box: Box) -> None:
    with pytest.raises(stripe.CardError) as refusal:
        box.subscribe(FAILS_LATER, payment_behavior="error_if_incomplete")
    assert refusal.value.code == "card_declined"
    assert box.v1.subscriptions.list({"status": "all"}).data == []
    assert box.v1.invoices.list().data == []
    assert "customer.subscription.created" not in box.event_types()


def test_an_incomplete_subscription_expires_after_23_hours(box: Box) -> None:
    subscription = box.subscribe(payment_behavior="default_incomplete")
    box.wait(23 * HOUR + 1)
    assert box.subscription(subscription.id).status == "incomplete_expired"
    assert totals(box, subscription.id) == [("void", 4900)]
    assert "invoice.voided" in box.event_types()


def test_an_incomplete_subscription_becomes_active_when_its_intent_is_confirmed(box: Box) -> None:
    subscription = box.subscribe(payment_behavior="default_incomplete")
    invoice = box.v1.invoices.retrieve(
        str(subscription.latest_invoice), {"expand": ["confirmation_secret", "payments"]}
    )
    assert invoice.confirmation_secret is not None
    assert invoice.payments is not None
    intent = str(invoice.payments.data[0].payment.payment_intent)
    assert invoice.confirmation_secret.client_secret.startswith(intent)
    box.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    assert box.subscription(subscription.id).status == "active"


def test_without_a_card_nothing_begins(box: Box) -> None:
    customer = box.customer(card=None)
    params: Any = {"customer": customer.id, "items": [{"price": box.price().id}]}
    with pytest.raises(stripe.InvalidRequestError):
        box.v1.subscriptions.create(params)
    assert box.v1.subscriptions.list({"status": "all"}).data == []


def test_a_card_that_is_declined_can_not_even_be_saved(box: Box) -> None:
    with pytest.raises(stripe.CardError) as refusal:
        box.customer(DECLINED)
    assert (refusal.value.code, refusal.value.http_status) == ("card_declined", 402)


def test_one_customer_has_one_currency(box: Box) -> None:
    subscription = box.subscribe()
    params: Any = {
        "customer": subscription.customer,
        "items": [{"price": box.price(500, "eur").id}],
    }
    with pytest.raises(stripe.InvalidRequestError, match="cannot combine currencies"):
        box.v1.subscriptions.create(params)


def test_a_week_before_the_renewal_comes_a_notice(box: Box) -> None:
    subscription = box.subscribe()
    box.wait_until(period(subscription)[1] - 7 * DAY)
    [notice] = box.events("invoice.upcoming")
    assert notice["data"]["object"]["amount_due"] == 4900
    assert totals(box, subscription.id) == [("paid", 4900)]
