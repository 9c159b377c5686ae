"""What the price list says of failed payments: a mail to those who can pay, once per failure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Mail, Membership
from accounts.roles import Role
from billing import catalog, standing, trials
from billing.models import BillingAccount, Subscription
from saas.tenancy import scope
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def subscribed(brand: Any) -> Any:
    now = timezone.now()
    with scope(brand):
        for role in (Role.ADMIN, Role.MEMBER):
            Membership.objects.create(brand=brand, user=make_user(), role=role)
        Subscription.objects.create(
            stripe_id="sub_1", status="active", plan="leads_growth", currency="usd",
            amount=14_900, started_at=now, version=1,
        )  # fmt: skip
    return brand


def become(brand: Any, status: str, since: Any = None) -> None:
    with scope(brand):
        Subscription.objects.update(status=status, past_due_since=since)
        standing.settle(standing.locked(brand.pk), now=timezone.now())


def test_a_failed_payment_is_told_to_the_owner_once(
    subscribed: Any, owner: Any, settings: Any
) -> None:
    become(subscribed, "active")
    assert not Mail.objects.exists()
    since = timezone.now()
    for _ in range(3):
        become(subscribed, "past_due", since)
    mail = Mail.objects.get()
    assert (mail.to, mail.subject) == (owner.email, f"A payment for {subscribed.name} failed")
    with scope(subscribed):
        until = BillingAccount.objects.get().grace_until
    for body in (mail.text.reveal(), mail.html.reveal()):
        assert f"{settings.PUBLIC_URL}/b/{subscribed.slug}/billing/" in body
        assert f"{until:%-d %B %Y}" in body


def test_the_end_of_grace_and_a_payment_are_no_failures_but_the_next_one_is(
    subscribed: Any,
) -> None:
    become(subscribed, "past_due", timezone.now())
    become(subscribed, "past_due", timezone.now() - timedelta(days=8))
    with scope(subscribed):
        assert BillingAccount.objects.get().standing == "downgraded"
    become(subscribed, "active")
    assert Mail.objects.count() == 1
    become(subscribed, "past_due", timezone.now())
    assert Mail.objects.count() == 2


def test_a_move_that_is_rolled_back_sends_nothing(subscribed: Any) -> None:
    become(subscribed, "active")

    def move_then_fail() -> None:
        with scope(subscribed):
            Subscription.objects.update(status="past_due", past_due_since=timezone.now())
            standing.settle(standing.locked(subscribed.pk), now=timezone.now())
            assert Mail.objects.count() == 1
            raise LookupError

    with pytest.raises(LookupError):
        move_then_fail()
    assert not Mail.objects.exists()


def test_plans_sell_nothing_beside_their_limits_that_another_plan_lacks() -> None:
    """No plan has roles, rates or search of its own: nothing in the code asks for such a thing."""
    by_product: dict[str, set[str]] = {}
    for plan in catalog.on_sale():
        own = {line for line in plan.features if not line.startswith("Everything in ")}
        by_product.setdefault(plan.product, set()).update(own)
    assert by_product == {
        "leads": {"Search by e-mail, name and company"},
        "bundle": {"WireGuard on every system"},
        "vpn": {"WireGuard on every system"},
    }
    larger = catalog.plan("leads_growth"), catalog.plan("leads_scale")
    assert [plan.features for plan in larger] == [
        ("Everything in Starter",),
        ("Everything in Growth",),
    ]


def on_trial(brand: Any, **left: float) -> None:
    with scope(brand):
        ends = timezone.now() + timedelta(**left)
        BillingAccount.objects.update(standing="trialing", trial_ends_at=ends)


def test_a_trials_end_is_announced_three_days_and_one_day_before(brand: Any, owner: Any) -> None:
    on_trial(brand, days=3, hours=1)
    assert trials.announce() == 0
    on_trial(brand, days=2, hours=23)
    assert [trials.announce(), trials.announce()] == [1, 0]
    on_trial(brand, hours=23)
    assert [trials.announce(), trials.announce()] == [1, 0]
    mails = Mail.objects.order_by("pk")
    assert [mail.to for mail in mails] == [owner.email] * 2
    assert all("ends on" in mail.subject for mail in mails)


def test_a_trial_found_late_is_announced_once(brand: Any) -> None:
    on_trial(brand, hours=5)
    assert [trials.announce(), trials.announce()] == [1, 0]


def test_the_end_of_a_trial_is_told_once_and_a_paid_plan_gets_no_reminder(brand: Any) -> None:
    on_trial(brand, seconds=-1)
    assert [standing.sweep(), standing.sweep()] == [1, 0]
    assert Mail.objects.get().subject == f"The trial of {brand.name} is over"
    with scope(brand):
        BillingAccount.objects.update(standing="active", plan="leads_growth")
    assert trials.announce() == 0
