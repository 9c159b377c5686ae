"""Changing a plan: what the preview says is what happens, to the minor unit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing import catalog, changes, checkout, entitlements, gateway
from billing.models import BillingAccount, Subscription
from saas.errors import Refused
from saas.money import Money
from saas.tenancy import scope
from tests.billing.conftest import Stripe, pass_days

pytestmark = pytest.mark.usefixtures("catalog", "patient")


@pytest.fixture
def subscribed(brand: Any, owner: Any, stripe: Stripe) -> Any:
    return subscribe(brand, owner, stripe)


def subscribe(
    brand: Any, owner: Any, stripe: Stripe, plan: str = "leads_growth", **more: Any
) -> Any:
    url = checkout.start(brand=brand, plan=plan, actor=owner, **({"currency": "usd"} | more))
    assert stripe.pay(url).status_code == 303
    stripe.deliver()
    return brand


def preview(brand: Any, plan: str, interval: str = "month", seats: int | None = None) -> Any:
    return changes.preview(brand=brand, plan=plan, interval=interval, seats=seats)


def plan_of(brand: Any) -> tuple[str, str, int]:
    with scope(brand):
        row = Subscription.objects.get()
        return row.plan, row.interval, row.seats


def newest_invoice(stripe: Stripe) -> dict[str, Any]:
    return stripe.objects("invoices")[0]


@pytest.mark.parametrize("currency", ["usd", "jpy"])
@pytest.mark.parametrize("days", [0, 11.3, 27])
def test_a_larger_plan_begins_at_once_and_costs_what_was_shown(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any, currency: str, days: float
) -> None:
    subscribe(brand, owner, stripe, currency=currency)
    pass_days(stripe, time_machine, days)
    shown = preview(brand, "leads_scale")
    assert shown.at_once
    assert shown.losses == []
    assert sum(line.amount.minor for line in shown.lines) == shown.today.minor > 0
    assert changes.change(brand=brand, promise=shown.promise, actor=owner) == "done"
    invoice = newest_invoice(stripe)
    assert (invoice["total"], invoice["status"]) == (shown.today.minor, "paid")
    assert plan_of(brand) == ("leads_scale", "month", 1)
    with scope(brand):
        assert entitlements.of(brand.pk).lead_quota == 20_000_000
    pass_days(stripe, time_machine, 31.5 - days)
    assert newest_invoice(stripe)["total"] == shown.following.minor


def test_a_smaller_plan_waits_for_the_end_of_what_is_paid(
    subscribed: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    shown = preview(subscribed, "leads_starter")
    assert not shown.at_once
    assert shown.today == Money(0, "usd")
    assert ("leads", 250_000, 25_000) in [(x.name, x.before, x.after) for x in shown.losses]
    before = len(stripe.objects("invoices"))
    assert changes.change(brand=subscribed, promise=shown.promise, actor=owner) == "planned"
    assert len(stripe.objects("invoices")) == before
    assert plan_of(subscribed) == ("leads_growth", "month", 1)
    with scope(subscribed):
        planned = changes.planned(Subscription.objects.get())
    assert planned is not None
    assert planned.plan.key == "leads_starter"
    pass_days(stripe, time_machine, 31.5)
    assert plan_of(subscribed) == ("leads_starter", "month", 1)
    assert newest_invoice(stripe)["total"] == shown.following.minor == 4_900
    with scope(subscribed):
        assert entitlements.of(subscribed.pk).lead_quota == 25_000
        assert Subscription.objects.get().schedule == ""


def test_a_downgrade_holds_from_its_commit_for_every_reader(
    subscribed: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    """Nothing keeps a copy of what a brand may do (ADR 17): who read before reads anew."""
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    page = f"/b/{subscribed.slug}/billing/"
    assert "250\u202f000" in client.get(page).content.decode()
    promise = preview(subscribed, "leads_starter").promise
    changes.change(brand=subscribed, promise=promise, actor=owner)
    pass_days(stripe, time_machine, 31.5)
    with scope(subscribed):
        assert entitlements.of(subscribed.pk).devices == 2
        refused = entitlements.admit_leads(subscribed.pk, 30_000)
    assert (refused.granted, refused.refusal) == (25_000, "quota_exceeded")
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    after = client.get(page).content.decode()
    assert "25\u202f000" in after
    assert "250\u202f000" not in after


def test_a_planned_change_is_taken_back(
    subscribed: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    promise = preview(subscribed, "leads_starter").promise
    changes.change(brand=subscribed, promise=promise, actor=owner)
    with pytest.raises(Refused, match="planned already"):
        preview(subscribed, "leads_scale")
    changes.keep(brand=subscribed, actor=owner)
    changes.keep(brand=subscribed, actor=owner)
    pass_days(stripe, time_machine, 31.5)
    assert plan_of(subscribed) == ("leads_growth", "month", 1)


def test_a_year_is_charged_at_once_less_what_is_left_of_the_month(
    subscribed: Any, owner: Any, stripe: Stripe
) -> None:
    shown = preview(subscribed, "leads_growth", "year")
    assert shown.at_once
    assert 149_000 - 14_900 <= shown.today.minor < 149_000
    changes.change(brand=subscribed, promise=shown.promise, actor=owner)
    assert newest_invoice(stripe)["total"] == shown.today.minor
    assert plan_of(subscribed) == ("leads_growth", "year", 1)


def test_back_to_months_waits_for_the_end_of_the_year(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    subscribe(brand, owner, stripe, interval="year")
    shown = preview(brand, "leads_growth", "month")
    assert not shown.at_once
    changes.change(brand=brand, promise=shown.promise, actor=owner)
    pass_days(stripe, time_machine, 366.5)
    assert plan_of(brand) == ("leads_growth", "month", 1)
    assert newest_invoice(stripe)["total"] == 14_900


def test_seats_up_at_once_and_down_with_the_period(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    subscribe(brand, owner, stripe, plan="vpn_team", seats=4)
    with scope(brand):
        rights = entitlements.of(brand.pk)
    assert (rights.members, rights.devices) == (4, 20)
    more = preview(brand, "vpn_team", seats=9)
    assert changes.change(brand=brand, promise=more.promise, actor=owner) == "done"
    with scope(brand):
        assert entitlements.of(brand.pk).members == 9
    fewer = preview(brand, "vpn_team", seats=5)
    assert changes.change(brand=brand, promise=fewer.promise, actor=owner) == "planned"
    pass_days(stripe, time_machine, 31.5)
    assert plan_of(brand) == ("vpn_team", "month", 5)
    with scope(brand):
        assert entitlements.of(brand.pk).members == 5


@pytest.mark.parametrize("seats", [0, 2, 201])
def test_seats_have_bounds(brand: Any, owner: Any, seats: int) -> None:
    with pytest.raises(Refused, match="isn't for sale"):
        checkout.start(brand=brand, plan="vpn_team", currency="usd", actor=owner, seats=seats)


def test_a_declined_card_changes_nothing(subscribed: Any, owner: Any, stripe: Stripe) -> None:
    [held] = stripe.objects("subscriptions")
    card = gateway.write(
        "post", "/v1/payment_methods/pm_card_chargeCustomerFail/attach",
        {"customer": held["customer"]}, key="attach",
    )  # fmt: skip
    path = f"/v1/subscriptions/{held['id']}"
    gateway.write("post", path, {"default_payment_method": card["id"]}, key="card")
    stripe.deliver()
    shown = preview(subscribed, "leads_scale")
    with pytest.raises(Refused, match="declined"):
        changes.change(brand=subscribed, promise=shown.promise, actor=owner)
    stripe.deliver()
    assert plan_of(subscribed) == ("leads_growth", "month", 1)
    with scope(subscribed):
        assert BillingAccount.objects.get().standing == "active"


def test_a_promise_is_of_this_brand_of_now_and_of_us(
    subscribed: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    shown = preview(subscribed, "leads_scale")
    for forged in ("", "x", shown.promise[:-1] + "x"):
        with pytest.raises(Refused) as refusal:
            changes.change(brand=subscribed, promise=forged, actor=owner)
        assert refusal.value.code == "out_of_date"
    time_machine.move_to(timezone.now() + timedelta(minutes=16))
    with pytest.raises(Refused) as refusal:
        changes.change(brand=subscribed, promise=shown.promise, actor=owner)
    assert refusal.value.code == "out_of_date"
    assert plan_of(subscribed)[0] == "leads_growth"


def test_two_clicks_are_one_change(subscribed: Any, owner: Any, stripe: Stripe) -> None:
    promise = preview(subscribed, "leads_scale").promise
    changes.change(brand=subscribed, promise=promise, actor=owner)
    before = len(stripe.objects("invoices"))
    with pytest.raises(Refused):
        changes.change(brand=subscribed, promise=promise, actor=owner)
    assert len(stripe.objects("invoices")) == before


@pytest.mark.parametrize("plan", ["leads_scale", "leads_starter"])
def test_the_second_of_two_clicks_asks_stripe_for_nothing(
    subscribed: Any, owner: Any, stripe: Stripe, monkeypatch: pytest.MonkeyPatch, plan: str
) -> None:
    """It passed the look at our row before the first one's news was written."""
    promise = preview(subscribed, plan).promise
    monkeypatch.setattr(changes.projection, "subscription", lambda _: True)
    first = changes.change(brand=subscribed, promise=promise, actor=owner)
    before = stripe.writes()
    assert changes.change(brand=subscribed, promise=promise, actor=owner) == first
    assert stripe.writes() == before


def test_a_change_that_only_our_look_missed_is_done(
    subscribed: Any, owner: Any, stripe: Stripe
) -> None:
    promise = preview(subscribed, "leads_scale").promise
    stripe.control("faults", {"match": "GET /v1/subscriptions/*", "kind": "drop"})
    assert changes.change(brand=subscribed, promise=promise, actor=owner) == "done"
    stripe.control("faults", method="DELETE")
    stripe.deliver()
    assert plan_of(subscribed)[0] == "leads_scale"


def test_the_pages_say_what_happens(subscribed: Any, owner: Any, stripe: Stripe) -> None:
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    base = f"/b/{subscribed.slug}/billing/"
    assert "Change the plan" in client.get(base).content.decode()
    assert "Change to Scale" in client.get(f"{base}change/").content.decode()
    page = client.get(f"{base}change/preview/?plan=leads_starter&interval=month")
    text = page.content.decode()
    assert "What becomes less" in text
    assert "Change at the end of the period" in text
    promise = page.context["preview"].promise
    after = client.post(f"{base}change/apply/", {"promise": promise}, follow=True)
    assert "changes at the end of the period" in after.content.decode()
    assert "Stay on Growth" in after.content.decode()
    assert "take the planned change back first" in after.content.decode()
    assert "Cancel the plan" not in after.content.decode()
    kept = client.post(f"{base}change/keep/", follow=True).content.decode()
    assert "stays as it is" in kept


def test_every_offer_of_the_catalog_can_be_bought() -> None:
    for plan in catalog.on_sale():
        for interval in plan.intervals:
            for currency in catalog.CURRENCIES:
                found = catalog.offer(plan.key, interval, currency)
                assert found is not None
                assert found.amount > 0
    assert catalog.offer("vpn_metered", "year", "usd") is None
