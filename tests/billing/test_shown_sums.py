"""The sums that pages and mails show are those that Stripe charges: credit, discounts, nothing."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from django.test import Client

from accounts.models import Mail
from billing import (
    changes,
    checkout,
    gateway,
    operations,
    promotions,
    subscriptions,
    trial_reminders,
    usage,
)
from billing.models import PromotionCode
from saas.money import Money
from tests.billing.conftest import Stripe, pass_days
from tests.billing.test_bank import put_in
from tests.billing.test_usage import GB, count
from tests.billing.trying import open_trial, settle

pytestmark = pytest.mark.usefixtures("catalog", "patient")


def subscribe(brand: Any, owner: Any, stripe: Stripe, plan: str, **more: Any) -> None:
    asked: dict[str, Any] = {"currency": "usd", **more}
    assert stripe.pay(checkout.start(brand=brand, plan=plan, actor=owner, **asked)).is_redirect
    stripe.deliver()


def credit(stripe: Stripe, minor: int) -> None:
    """Give the only customer credit, as staff do in Stripe's dashboard."""
    [customer] = stripe.objects("customers")
    path = f"/v1/customers/{customer['id']}/balance_transactions"
    gateway.write("post", path, {"amount": -minor, "currency": "usd"}, key="a test")


def look(brand: Any, plan: str, seats: int | None = None) -> changes.Preview:
    return changes.preview(brand=brand, plan=plan, interval="month", seats=seats)


def words(person: Any, path: str) -> str:
    reader = Client()
    reader.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return " ".join(reader.get(path).content.decode().replace("&#x27;", "'").split())


def newest(stripe: Stripe) -> dict[str, Any]:
    return stripe.objects("invoices")[0]


@pytest.mark.parametrize(
    ("given", "charged", "then"),
    [(5_000, 7_000, 18_000), (13_000, 0, 17_000), (40_000, 0, 0)],
)
def test_credit_is_taken_off_what_is_charged_today_and_next(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any, given: int, charged: int, then: int
) -> None:
    subscribe(brand, owner, stripe, "vpn_team", seats=10)
    credit(stripe, given)
    path = f"/b/{brand.slug}/billing/change/preview/?plan=vpn_team&interval=month&seats=30"
    page = words(owner, path)
    shown = look(brand, "vpn_team", 30)
    full = sum(line.amount.minor for line in shown.lines[:-1])
    assert shown.lines[-1].text == "Your credit"
    assert sum(line.amount.minor for line in shown.lines) == shown.today.minor
    assert abs(shown.today.minor - charged) <= 1  # a second may have gone by
    assert f'<td>Your credit</td><td class="num">-${min(given, full) / 100:.2f}' in page
    assert (f"after ${(18_000 - then) / 100:.2f} of your credit" in page) == (then < 18_000)
    assert abs(shown.following.minor - then) <= 1
    changes.change(brand=brand, promise=shown.promise, actor=owner)
    assert newest(stripe)["amount_paid"] == shown.today.minor
    pass_days(stripe, time_machine, 31.5)
    assert newest(stripe)["amount_paid"] == shown.following.minor


def test_what_a_change_credits_pays_the_next_invoice(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    subscribe(brand, owner, stripe, "vpn_team", seats=3)
    shown = look(brand, "vpn_metered")
    assert shown.at_once
    assert shown.credit
    assert shown.today.minor == sum(line.amount.minor for line in shown.lines) < 0
    assert shown.following == Money(1_500, "usd") + shown.today
    assert shown.credit_used == shown.settled
    changes.change(brand=brand, promise=shown.promise, actor=owner)
    stripe.deliver()
    pass_days(stripe, time_machine, 31.5)
    assert newest(stripe)["amount_paid"] == shown.following.minor


def test_ending_a_metered_plan_says_that_what_was_used_is_still_charged(
    metered: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    count(metered, 400 * GB)
    usage.flush(metered.pk)
    billing = f"/b/{metered.slug}/billing/"
    before = words(owner, billing)
    subscriptions.cancel(brand=metered, actor=owner)
    after = words(owner, billing)
    assert "Nothing more is charged" not in before
    assert "still charged at the end: $12.00 before tax so far" in before
    assert "nothing more is charged" not in after
    assert "what you use beyond what is included is charged then" in after
    pass_days(stripe, time_machine, 33)
    assert newest(stripe)["amount_paid"] == 1_200


def test_ending_a_plan_that_is_owed_for_says_that_its_invoice_is_still_collected(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    subscribe(brand, owner, stripe, "leads_growth")
    put_in(stripe, "chargeCustomerFail")
    pass_days(stripe, time_machine, 32)
    billing = f"/b/{brand.slug}/billing/"
    before = words(owner, billing)
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    told = client.post(f"{billing}cancel/", follow=True).content.decode()
    assert "Your plan ends with its period. The open invoice goes on being collected." in told
    after = words(owner, billing)
    for page in (before, told, after):
        assert "othing more is charged" not in page
        assert "that you have paid for" not in page
    assert "The invoice that is open goes on being collected" in before
    assert "the open invoice goes on being collected" in after


def discount(owner: Any, percent: int) -> None:
    code = PromotionCode(code="SPRING20", name="Spring", percent_off=percent, duration="forever")
    promotions.create(code, actor=owner)
    while due := operations.due():
        for operation in due:
            operations.execute(operation)


@pytest.mark.parametrize(
    ("percent", "cost"), [(100, "nothing"), (20, "$119.20")], ids=["free", "less"]
)
def test_the_words_of_a_trial_follow_its_discount(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any, percent: int, cost: str
) -> None:
    discount(owner, percent)
    answer = stripe.pay(open_trial(brand, owner), promotion_code="SPRING20")
    settle(stripe)
    less = f"then $149.00 before tax, less your discount ({percent} % off), is charged to"
    assert less in words(owner, str(httpx.URL(answer.headers["Location"]).raw_path, "ascii"))
    assert less in words(owner, f"/b/{brand.slug}/")
    assert "before tax, before your discount and any credit" in words(
        owner, f"/b/{brand.slug}/billing/"
    )
    pass_days(stripe, time_machine, 4.5)
    trial_reminders.announce()
    pass_days(stripe, time_machine, 3)
    settle(stripe)
    reminder, paid = (" ".join(one.text.reveal().split()) for one in Mail.objects.order_by("pk"))
    assert f"goes on by itself, and {cost} is charged" in reminder
    assert f"The trial is over, and {cost} was charged" in paid
    for mail in Mail.objects.all():
        assert "$0.00" not in mail.text.reveal() + mail.html.reveal()


def test_a_price_that_holds_the_tax_is_before_the_discount(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    discount(owner, 20)
    url = checkout.start(brand=brand, plan="leads_growth", currency="jpy", actor=owner)
    stripe.pay(url, promotion_code="SPRING20")
    stripe.deliver()
    page = words(owner, f"/b/{brand.slug}/billing/")
    assert "with tax, before your discount and any credit" in page


def test_leaving_a_metered_plan_says_that_what_is_used_meanwhile_may_be_added(
    metered: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    """The sweep may send usage between the look and the change, and the change settles it."""
    count(metered, 250 * GB)
    path = f"/b/{metered.slug}/billing/change/preview/?plan=vpn_team&interval=month&seats=10"
    assert "what you use from now until you change may be added" in words(owner, path)
    pass_days(stripe, time_machine, 0.002)
    shown = look(metered, "vpn_team", 10)
    pass_days(stripe, time_machine, 0.002)
    count(metered, 100 * GB)
    usage.flush(metered.pk)
    pass_days(stripe, time_machine, 0.002)
    changes.change(brand=metered, promise=shown.promise, actor=owner)
    assert newest(stripe)["total"] == shown.today.minor + 100 * 6


def test_a_plan_of_fixed_price_adds_nothing(brand: Any, owner: Any, stripe: Stripe) -> None:
    subscribe(brand, owner, stripe, "vpn_team", seats=3)
    assert not look(brand, "vpn_metered").counting
