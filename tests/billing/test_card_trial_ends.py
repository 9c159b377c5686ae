"""The end of a trial with a card: announced, then paid for, declined, cancelled or cardless."""

from __future__ import annotations

import calendar
import random
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Mail
from billing import (
    changes,
    entitlements,
    gateway,
    inbox,
    standing,
    subscriptions,
    trial_reminders,
    trials,
)
from billing.models import BillingAccount
from saas.errors import Refused
from saas.tenancy import scope
from tests.billing.conftest import FAILS_LATER, Stripe, pass_days, send
from tests.billing.signing import sign
from tests.billing.trying import (
    account,
    begin_trial,
    charged,
    open_trial,
    row,
    settle,
    statuses,
    subjects,
)

pytestmark = pytest.mark.usefixtures("catalog", "patient")


@pytest.fixture
def customer(client_for: Any, owner: Any) -> Client:
    return client_for(owner)


def billing_page(client: Client, brand: Any) -> str:
    return " ".join(client.get(f"/b/{brand.slug}/billing/").content.decode().split())


def no_news(stripe: Stripe, time_machine: Any, days: float) -> None:
    pass_days(stripe, time_machine, days, told=False)


def test_it_is_announced_with_day_card_and_amount(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    """Even when no event comes any more, three days and one day before, once each."""
    begin_trial(brand, owner, stripe)
    ends = row(brand).trial_ends_at
    no_news(stripe, time_machine, 3.9)
    assert trial_reminders.announce() == 0
    no_news(stripe, time_machine, 0.2)
    assert [trial_reminders.announce(), trial_reminders.announce()] == [1, 0]
    no_news(stripe, time_machine, 2)
    assert [trial_reminders.announce(), trial_reminders.announce()] == [1, 0]
    mails = Mail.objects.filter(to=owner.email)
    assert subjects() == [f"The trial of Growth for {brand.name} ends on {ends:%-d %B}"] * 2
    for mail in mails:
        for body in (mail.text.reveal(), mail.html.reveal()):
            assert f"{ends:%-d %B %Y}" in body
            assert "$149.00" in body
            assert "Visa ending in 4242" in body
            assert f"/b/{brand.slug}/billing/" in body


def test_the_amount_is_stripe_s_with_tax(
    brand: Any, owner: Any, stripe: Stripe, settings: Any, time_machine: Any
) -> None:
    settings.STRIPE_TAX = True
    place = {"country": "DE", "postal_code": "10115", "city": "Berlin", "state": ""}
    assert stripe.pay(open_trial(brand, owner), **place).status_code == 303
    settle(stripe)
    pass_days(stripe, time_machine, 5)
    assert trial_reminders.announce() == 1
    assert "$177.31" in Mail.objects.get().text.reveal()
    pass_days(stripe, time_machine, 2.1)
    assert charged(stripe) == [17_731]


def test_a_trial_that_is_moved_is_announced_anew(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    begin_trial(brand, owner, stripe)
    pass_days(stripe, time_machine, 5)
    assert trial_reminders.announce() == 1
    later = int((timezone.now() + timedelta(days=10)).timestamp())
    gateway.write(
        "post", f"/v1/subscriptions/{row(brand).stripe_id}", {"trial_end": later}, key="longer"
    )
    settle(stripe)
    assert trial_reminders.announce() == 0
    pass_days(stripe, time_machine, 8)
    assert trial_reminders.announce() == 1


@pytest.mark.parametrize("known", [True, False])
def test_who_cancelled_is_not_reminded(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any, known: bool
) -> None:
    """Not even when the cancellation was made in the portal and its event is lost."""
    begin_trial(brand, owner, stripe)
    if known:
        subscriptions.cancel(brand=brand, actor=owner)
    else:
        path = f"/v1/subscriptions/{row(brand).stripe_id}"
        gateway.write("post", path, {"cancel_at_period_end": True}, key="portal")
    no_news(stripe, time_machine, 5)
    assert trial_reminders.announce() == 0
    assert row(brand).cancel_at_period_end
    assert subjects() == []


def test_an_outage_of_stripe_only_delays_the_reminder(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    begin_trial(brand, owner, stripe)
    no_news(stripe, time_machine, 5)
    fault = {"match": "POST /v1/invoices/create_preview", "kind": "status", "status": 500}
    stripe.control("faults", {**fault, "times": 1})
    assert [trial_reminders.announce(), trial_reminders.announce()] == [0, 1]


def test_it_becomes_a_paid_plan_and_says_so_once(
    client_for: Any, brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    begin_trial(brand, owner, stripe)
    ends = row(brand).trial_ends_at
    pass_days(stripe, time_machine, 7.1)
    assert (statuses(stripe), charged(stripe)) == (["active"], [14_900])
    assert account(brand) == ("leads_growth", "active")
    paid = row(brand)
    assert (paid.status, paid.current_period_start) == ("active", ends)
    assert subjects() == [f"Growth for {brand.name} goes on: the trial is over"]
    body = Mail.objects.get().text.reveal()
    assert "$149.00 was charged to your Visa ending in 4242" in body
    assert f"until {paid.current_period_end:%-d %B %Y}" in body
    shown = billing_page(client_for(owner), brand)
    assert "<dt>Next invoice</dt>" in shown
    assert "First charge" not in shown
    pass_days(stripe, time_machine, 31)
    assert charged(stripe) == [14_900] * 2
    assert len(subjects()) == 1


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_news_of_the_end_make_no_difference(
    brand: Any, owner: Any, stripe: Stripe, seed: int
) -> None:
    begin_trial(brand, owner, stripe)
    stripe.advance(7.1)
    held = stripe.pending()
    random.Random(seed).shuffle(held)
    for one in held:
        if one["type"].startswith(("invoice.", "customer.subscription.")):
            again = {**one, "headers": {"Stripe-Signature": sign(one["body"])}}
            assert send(again).status_code == 200
            inbox.drain()
    assert account(brand) == ("leads_growth", "active")
    assert len(subjects()) == 1


def test_a_declined_card_falls_due_and_a_good_one_brings_the_plan_back(
    customer: Client, brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    begin_trial(brand, owner, stripe, FAILS_LATER)
    pass_days(stripe, time_machine, 7.1)
    assert account(brand) == ("leads_growth", "past_due")
    assert charged(stripe) == []
    with scope(brand):
        assert entitlements.of(brand.pk).live  # in its grace
    assert subjects() == [f"A payment for {brand.name} failed"]
    customer_id = stripe.objects("subscriptions")[0]["customer"]
    attach = "/v1/payment_methods/pm_card_visa/attach"
    method = gateway.write("post", attach, {"customer": customer_id}, key="good")["id"]
    path = f"/v1/subscriptions/{row(brand).stripe_id}"
    gateway.write("post", path, {"default_payment_method": method}, key="use it")
    pass_days(stripe, time_machine, 3.1)
    assert account(brand) == ("leads_growth", "active")
    assert charged(stripe) == [14_900]
    assert subjects()[1:] == [f"Growth for {brand.name} goes on: the trial is over"]


def test_a_declined_card_that_stays_loses_the_plan(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    begin_trial(brand, owner, stripe, FAILS_LATER)
    pass_days(stripe, time_machine, 7.1)
    pass_days(stripe, time_machine, 7.1)
    standing.sweep()
    assert account(brand) == ("leads_growth", "downgraded")
    with scope(brand):
        assert entitlements.of(brand.pk).refusal == "suspended"


def test_cancelling_costs_nothing_and_keeps_the_plan_until_the_end(
    customer: Client, brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    begin_trial(brand, owner, stripe)
    page = f"/b/{brand.slug}/billing/"
    answer = customer.post(f"{page}cancel/", follow=True).content.decode()
    assert "Your plan ends with its trial. You are charged nothing." in answer
    pass_days(stripe, time_machine, 6.9)
    with scope(brand):
        assert entitlements.of(brand.pk).devices == 5
    assert "First charge" not in billing_page(customer, brand)
    pass_days(stripe, time_machine, 0.2)
    assert (statuses(stripe), charged(stripe)) == (["canceled"], [])
    assert account(brand) == ("leads_growth", "canceled")
    assert subjects() == []


def test_cancelling_can_be_taken_back(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    begin_trial(brand, owner, stripe)
    subscriptions.cancel(brand=brand, actor=owner)
    subscriptions.resume(brand=brand, actor=owner)
    pass_days(stripe, time_machine, 7.1)
    assert charged(stripe) == [14_900]


def test_without_a_card_it_ends_and_owes_nothing(
    customer: Client, brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    begin_trial(brand, owner, stripe)
    [held] = stripe.objects("subscriptions")
    path = f"/v1/payment_methods/{held['default_payment_method']}/detach"
    gateway.write("post", path, {}, key="detach")
    settle(stripe)
    assert "No card. Your plan ends with its trial" in billing_page(customer, brand)
    pass_days(stripe, time_machine, 4.1)
    assert trial_reminders.announce() == 1
    assert "There is no card for it." in Mail.objects.get().text.reveal()
    pass_days(stripe, time_machine, 3)
    assert account(brand) == ("leads_growth", "canceled")
    assert [one["total"] for one in stripe.objects("invoices")] == [0]


def test_a_trial_over_the_month_s_end_renews_on_its_last_days(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    """It ends on the 31st; the periods after it end on the last day of each month, unprorated."""
    now = timezone.now()
    ahead = next(n for n in range(7, 80) if (now + timedelta(days=n)).day == 31) - 7
    pass_days(stripe, time_machine, ahead)
    begin_trial(brand, owner, stripe)
    ends = row(brand).trial_ends_at
    assert ends.day == 31
    pass_days(stripe, time_machine, 7.1)
    for _ in range(3):
        end = row(brand).current_period_end
        assert end.day == calendar.monthrange(end.year, end.month)[1]
        pass_days(stripe, time_machine, (end - timezone.now()).total_seconds() / 86_400 + 0.1)
    assert charged(stripe) == [14_900] * 4


def preview(brand: Any, plan: str, interval: str = "month") -> Any:
    return changes.preview(brand=brand, plan=plan, interval=interval, seats=None)


@pytest.mark.parametrize(
    ("plan", "interval", "price"),
    [("leads_starter", "month", 4_900), ("bundle_growth", "month", 17_900),
     ("leads_growth", "year", 149_000)],
)  # fmt: skip
def test_a_change_within_the_trial_is_at_once_free_and_keeps_its_end(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any, plan: str, interval: str, price: int
) -> None:
    begin_trial(brand, owner, stripe)
    ends = row(brand).trial_ends_at
    shown = preview(brand, plan, interval)
    assert (shown.at_once, shown.today.minor, shown.following.minor) == (True, 0, price)
    assert changes.change(brand=brand, promise=shown.promise, actor=owner)
    settle(stripe)
    changed = row(brand)
    assert (changed.plan, changed.interval, changed.status) == (plan, interval, "trialing")
    assert changed.trial_ends_at == ends
    assert charged(stripe) == []
    pass_days(stripe, time_machine, 7.1)
    assert charged(stripe) == [price]


def test_a_plan_that_cannot_be_tried_waits_for_the_trial_s_end(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    begin_trial(brand, owner, stripe)
    for plan in ("leads_scale", "vpn_metered"):
        with pytest.raises(Refused, match="can't be tried"):
            preview(brand, plan)


def test_the_trial_without_a_card_ends_unheard_beside_it(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    begin_trial(brand, owner, stripe)
    with scope(brand):
        BillingAccount.objects.update(trial_ends_at=timezone.now() + timedelta(days=2))
    assert trials.announce() == 0
    pass_days(stripe, time_machine, 3)
    assert standing.sweep() == 0
    assert account(brand) == ("leads_growth", "active")
    assert subjects() == []
