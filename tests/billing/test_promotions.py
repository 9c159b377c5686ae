"""Promotion codes: made by staff, once at Stripe, redeemed with a change of plan."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing import changes, checkout, operations, promotions
from billing.models import Invoice, PromotionCode, Subscription
from saas.errors import Refused
from saas.tenancy import scope
from tests.billing.conftest import Stripe, pass_days
from tests.factories import make_user

pytestmark = pytest.mark.usefixtures("catalog", "patient")


@pytest.fixture
def staff(db: None) -> User:
    person = make_user(email="staff@example.test")
    person.is_staff = person.is_superuser = True
    person.save()
    return person


def make(staff: User, **fields: Any) -> PromotionCode:
    code = PromotionCode(**({"code": "SPRING20", "name": "Spring", "percent_off": 20} | fields))
    code.full_clean()
    promotions.create(code, actor=staff)
    carry_out()
    code.refresh_from_db()
    return code


def carry_out() -> None:
    """What workers do: the coupon, then what its success asks for."""
    while due := operations.due():
        for operation in due:
            operations.execute(operation)


def subscribe(brand: Any, owner: Any, stripe: Stripe) -> None:
    url = checkout.start(brand=brand, plan="leads_starter", currency="usd", actor=owner)
    assert stripe.pay(url).status_code == 303
    stripe.deliver()


def test_a_code_is_a_coupon_and_a_promotion_code_at_stripe(staff: User, stripe: Stripe) -> None:
    ends = timezone.now() + timedelta(days=30)
    code = make(
        staff, percent_off=None, amounts_off={"usd": 500, "jpy": 700}, duration="repeating",
        months=3, max_redemptions=10, expires_at=ends, first_time_only=True,
    )  # fmt: skip
    [coupon], [there] = stripe.objects("coupons"), stripe.objects("promotion_codes")
    assert (coupon["amount_off"], coupon["currency"]) == (500, "usd")
    assert (coupon["duration"], coupon["duration_in_months"]) == ("repeating", 3)
    assert (there["id"], there["code"], there["max_redemptions"]) == (
        code.stripe_id,
        "SPRING20",
        10,
    )
    assert there["expires_at"] == int(ends.timestamp())
    assert there["restrictions"]["first_time_transaction"] is True


@pytest.mark.parametrize(
    "fields",
    [
        {"percent_off": None},
        {"percent_off": 101},
        {"amounts_off": {"usd": 500}},
        {"percent_off": None, "amounts_off": {"chf": 500}},
        {"percent_off": None, "amounts_off": {"usd": 0}},
        {"percent_off": None, "amounts_off": {"usd": 1.5}},
        {"duration": "repeating"},
        {"duration": "once", "months": 3},
        {"code": "with space"},
        {"code": "LOWER case"},
    ],
)
def test_what_makes_no_sense_is_refused_in_the_form(db: None, fields: dict[str, Any]) -> None:
    code = PromotionCode(**({"code": "SPRING20", "name": "Spring", "percent_off": 20} | fields))
    with pytest.raises(ValidationError):
        code.full_clean()


def test_dying_between_the_two_writes_leaves_the_whole(staff: User, stripe: Stripe) -> None:
    code = PromotionCode(code="SPRING20", name="Spring", percent_off=20)
    operations.execute(promotions.create(code, actor=staff))
    assert not stripe.objects("promotion_codes")  # the worker died here
    carry_out()
    code.refresh_from_db()
    assert code.stripe_id
    assert len(stripe.objects("coupons")) == len(stripe.objects("promotion_codes")) == 1


def test_a_code_is_redeemed_with_a_change_of_plan(
    staff: User, brand: Any, owner: Any, stripe: Stripe
) -> None:
    make(staff, duration="forever")
    subscribe(brand, owner, stripe)
    full = changes.preview(brand=brand, plan="leads_scale", interval="month", seats=None)
    less = changes.preview(
        brand=brand, plan="leads_scale", interval="month", seats=None, code=" spring20 "
    )
    assert less.following.minor == round(full.following.minor * 0.8)
    assert less.today < full.today
    changes.change(brand=brand, promise=less.promise, actor=owner)
    assert stripe.objects("invoices")[0]["total"] == less.today.minor
    stripe.deliver()
    with scope(brand):
        assert Subscription.objects.get().discount == "20 % off"
    assert PromotionCode.objects.get().times_redeemed == 1


@pytest.mark.parametrize(
    ("interval", "days", "following"), [("month", 31.5, 39_920), ("year", 366.5, 499_000)]
)
def test_a_code_for_one_invoice_is_shown_on_the_one_that_it_is_taken_off(
    staff: User, brand: Any, owner: Any, stripe: Stripe, time_machine: Any,
    interval: str, days: float, following: int,
) -> None:  # fmt: skip
    """Of prorations Stripe takes nothing off by a code, so that it waits; of a new year it does."""
    make(staff)
    subscribe(brand, owner, stripe)
    shown = changes.preview(
        brand=brand, plan="leads_scale", interval=interval, seats=None, code="SPRING20"
    )
    assert shown.following.minor == following
    changes.change(brand=brand, promise=shown.promise, actor=owner)
    assert stripe.objects("invoices")[0]["total"] == shown.today.minor
    pass_days(stripe, time_machine, days)
    assert stripe.objects("invoices")[0]["total"] == following


def test_a_code_is_redeemed_at_checkout(
    staff: User, brand: Any, owner: Any, stripe: Stripe
) -> None:
    make(staff)
    url = checkout.start(brand=brand, plan="leads_starter", currency="usd", actor=owner)
    assert stripe.pay(url, promotion_code="spring20").status_code == 303
    stripe.deliver()
    assert stripe.objects("invoices")[0]["total"] == 3_920
    assert PromotionCode.objects.get().times_redeemed == 1
    with scope(brand):
        assert Invoice.objects.get().discount == 980


def test_a_wrong_code_leaves_the_preview_where_it_is(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    subscribe(brand, owner, stripe)
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(
        f"/b/{brand.slug}/billing/change/preview/?plan=leads_scale&interval=month&code=NOBODY"
    )
    text = page.content.decode()
    assert "Change to Scale" in text
    assert "We don&#x27;t know this code" in text


def test_unknown_and_switched_off_codes_are_refused(
    staff: User, brand: Any, owner: Any, stripe: Stripe
) -> None:
    code = make(staff)
    subscribe(brand, owner, stripe)
    promotions.switch_off(code, actor=staff)
    carry_out()
    assert stripe.objects("promotion_codes")[0]["active"] is False
    for typed in ("NOBODY", "SPRING20"):
        with pytest.raises(Refused) as refusal:
            changes.preview(
                brand=brand, plan="leads_scale", interval="month", seats=None, code=typed
            )
        assert refusal.value.code == "unknown_code"


def test_staff_make_a_code_in_the_console(staff: User, stripe: Stripe, settings: Any) -> None:
    settings.DEBUG = True  # outside of it staff need a second factor, which is proven elsewhere
    client = Client()
    client.force_login(staff, backend="django.contrib.auth.backends.ModelBackend")
    page = "/admin/billing/promotioncode/add/"
    assert client.get(page).status_code == 200
    form = {"code": "AUTUMN", "name": "Autumn", "percent_off": "15", "amounts_off": "{}",
            "duration": "once"}  # fmt: skip
    answer = client.post(page, form, follow=True)
    assert "on its way to Stripe" in answer.content.decode()
    carry_out()
    assert stripe.objects("promotion_codes")[0]["code"] == "AUTUMN"
    assert PromotionCode.objects.get().stripe_id
