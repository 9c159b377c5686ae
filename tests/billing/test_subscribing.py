"""Subscribing, cancelling and resuming, as a person does it over HTTP."""

from __future__ import annotations

import itertools
import re
import uuid
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from billing import entitlements
from billing.models import BillingAccount, Checkout, Invoice, StripeOperation, Subscription
from leads.models import Lead
from saas.tenancy import scope
from tests.billing.conftest import DECLINED, Stripe
from tests.factories import make_brand
from tests.vpn.words import make_server
from vpn import devices

pytestmark = pytest.mark.usefixtures("catalog")


@pytest.fixture
def customer(client_for: Any, owner: Any) -> Client:
    return client_for(owner)


def choose(client: Client, brand: Any, plan: str = "leads_growth", currency: str = "usd") -> str:
    answer = client.post(f"/b/{brand.slug}/billing/checkout/", {"plan": plan, "currency": currency})
    assert answer.status_code == 303, answer.content
    return str(answer["Location"])


def page(client: Client, brand: Any, name: str = "") -> str:
    answer = client.get(f"/b/{brand.slug}/billing/{name}")
    assert answer.status_code == 200
    return answer.content.decode()


def account(brand: Any) -> BillingAccount:
    with scope(brand):
        return BillingAccount.objects.get()


def test_from_trial_to_active_through_checkout(
    customer: Client, brand: Any, stripe: Stripe
) -> None:
    back = stripe.pay(choose(customer, brand)).headers["Location"]
    assert back.startswith(f"{settings.PUBLIC_URL}/b/{brand.slug}/billing/return/?session=cs_")
    assert account(brand).standing == "trialing"
    assert "We are confirming your payment" in customer.get(back).content.decode()

    stripe.deliver()
    now = account(brand)
    assert (now.plan, now.standing, now.lead_quota) == ("leads_growth", "active", 250_000)
    assert "You are on Growth" in customer.get(back).content.decode()
    with scope(brand):
        assert Subscription.objects.get().card == "Visa ending in 4242"
        assert Invoice.objects.get().amount_paid == 14_900
        assert Checkout.objects.get().state == "complete"
        assert entitlements.of(brand.pk).devices == 5
    shown = page(customer, brand)
    assert "$149.00" in shown
    assert "Next invoice" in shown


def test_the_trial_is_named_once(customer: Client, brand: Any) -> None:
    card = page(customer, brand).split("What your plan includes")[0].split("Your plan", 1)[1]
    assert card.count("Free trial") == 1
    assert "Trial ends" in card


def test_a_declined_card_changes_nothing(customer: Client, brand: Any, stripe: Stripe) -> None:
    assert stripe.pay(choose(customer, brand), card=DECLINED).status_code != 303
    stripe.deliver()
    assert account(brand).standing == "trialing"
    with scope(brand):
        assert not Subscription.objects.filter(status="active").exists()


def test_a_second_click_reuses_the_open_session(
    customer: Client, brand: Any, stripe: Stripe
) -> None:
    assert choose(customer, brand) == choose(customer, brand)
    assert len(stripe.objects("checkout/sessions")) == 1
    assert len(stripe.objects("customers")) == 1


def test_another_plan_closes_the_first_session(
    customer: Client, brand: Any, stripe: Stripe
) -> None:
    first, second = choose(customer, brand), choose(customer, brand, "leads_starter")
    assert first != second
    assert [s["status"] for s in stripe.objects("checkout/sessions")] == ["open", "expired"]
    assert stripe.pay(first).status_code != 303
    stripe.pay(second)
    stripe.deliver()
    assert account(brand).plan == "leads_starter"
    assert len(stripe.objects("subscriptions", status="all")) == 1


def test_a_paid_session_whose_webhook_is_late_sells_no_second_subscription(
    customer: Client, brand: Any, stripe: Stripe
) -> None:
    stripe.pay(choose(customer, brand))
    answer = customer.post(f"/b/{brand.slug}/billing/checkout/", {"plan": "leads_scale"})
    assert answer["Location"] == f"/b/{brand.slug}/billing/"
    assert "You already have a plan" in customer.get(answer["Location"]).content.decode()
    assert account(brand).plan == "leads_growth"
    assert len(stripe.objects("subscriptions", status="all")) == 1


def test_two_subscriptions_made_at_stripe_leave_the_first(
    customer: Client, brand: Any, stripe: Stripe
) -> None:
    """Somebody subscribes the customer again in Stripe's dashboard."""
    from billing import gateway

    stripe.pay(choose(customer, brand))
    stripe.deliver()
    with scope(brand):
        kept = Subscription.objects.get().stripe_id
    price = stripe.objects("prices", lookup_keys=["leads_scale_month_v1"])[0]["id"]
    card = stripe.objects(f"customers/{account(brand).stripe_customer}/payment_methods")[0]
    gateway.write(
        "post",
        "/v1/subscriptions",
        {
            "customer": account(brand).stripe_customer,
            "items": [{"price": price}],
            "default_payment_method": card["id"],
        },
        key="dashboard",
    )
    stripe.deliver(shuffled=7)
    from billing import operations

    for operation in operations.due():
        operations.execute(operation)
    stripe.deliver()
    states = {s["id"]: s["status"] for s in stripe.objects("subscriptions", status="all")}
    assert states.pop(kept) == "active"
    assert list(states.values()) == ["canceled"]
    assert account(brand).plan == "leads_growth"


def test_cancel_at_the_period_end_then_resume_then_let_it_end(
    customer: Client, brand: Any, stripe: Stripe
) -> None:
    stripe.pay(choose(customer, brand))
    stripe.deliver()
    billing = f"/b/{brand.slug}/billing/"
    customer.post(f"{billing}cancel/", {"reason": "too quiet"})
    shown = page(customer, brand)
    assert "nothing more is charged" in shown
    assert "Next invoice" not in shown
    customer.post(f"{billing}resume/")
    assert "Next invoice" in page(customer, brand)
    customer.post(f"{billing}cancel/")
    stripe.deliver()
    assert account(brand).standing == "active"
    stripe.advance(32)
    stripe.deliver()
    assert account(brand).standing == "canceled"
    with scope(brand):
        assert entitlements.of(brand.pk).refusal == "suspended"
    assert "Choose a plan" in page(customer, brand)


_numbers = itertools.count(1)


def make_leads(brand: Any, count: int) -> None:
    with scope(brand):
        Lead.objects.bulk_create(
            Lead(
                brand_id=brand.pk,
                email=f"{next(_numbers)}@lead.test",
                joined_at=now,
                last_activity_at=now,
            )
            for now in [timezone.now()] * count
        )


def make_devices(brand: Any, owner: Any, count: int) -> list[Any]:
    server, _ = make_server()
    return [
        devices.create(
            brand_id=brand.pk,
            owner=owner,
            actor=owner,
            server_id=server.pk,
            name=f"Device {next(_numbers)}",
            request_key=uuid.uuid4(),
        ).device
        for _ in range(count)
    ]


def dialog(client: Client, brand: Any) -> str:
    """The words of the dialogue for cancelling, with plain spaces."""
    found = re.search(r'<dialog[^>]*id="cancel".*?</dialog>', page(client, brand), re.DOTALL)
    assert found
    words = " ".join(re.sub(r"<[^>]+>", " ", found[0]).split())
    return words.replace("\u202f", " ")


def test_cancelling_says_in_numbers_what_happens_to_what_the_brand_has(
    customer: Client, brand: Any, owner: Any, stripe: Stripe
) -> None:
    stripe.pay(choose(customer, brand))
    stripe.deliver()
    first = dialog(customer, brand)
    assert "You have no leads yet." in first
    assert "You have no VPN devices, so none is switched off." in first

    make_leads(brand, 1)
    make_devices(brand, owner, 1)
    one = dialog(customer, brand)
    assert "no new leads come in. Your lead and its messages stay readable." in one
    assert "Your VPN device is off from then on" in one

    make_leads(brand, 1200)
    made = make_devices(brand, owner, 3)
    devices.revoke(device_id=made[0].pk, brand_id=brand.pk, actor=owner)
    many = dialog(customer, brand)
    assert "Your 1 201 leads and their messages stay readable." in many
    assert "Your 3 VPN devices are off from then on" in many


def test_the_portal_is_a_redirect(customer: Client, brand: Any, stripe: Stripe) -> None:
    stripe.pay(choose(customer, brand))
    stripe.deliver()
    answer = customer.post(f"/b/{brand.slug}/billing/portal/")
    assert answer.status_code == 303
    assert "/portal/" in answer["Location"]


def test_a_price_in_another_currency(customer: Client, brand: Any, stripe: Stripe) -> None:
    stripe.pay(choose(customer, brand, "leads_starter", "jpy"))
    stripe.deliver()
    with scope(brand):
        bought = Subscription.objects.get()
    assert (bought.currency, bought.amount) == ("jpy", 7_200)
    assert "¥7,200" in page(customer, brand)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 500}, "reach Stripe"),
        ({"status": 429}, "reach Stripe"),
        ({"status": 401}, "not available"),
    ],
)
def test_an_outage_is_a_sentence(
    customer: Client, brand: Any, stripe: Stripe, fault: dict[str, Any], words: str
) -> None:
    stripe.control("faults", {"match": "POST /v1/customers", "kind": "status", "times": 9, **fault})
    answer = customer.post(
        f"/b/{brand.slug}/billing/checkout/", {"plan": "leads_growth"}, follow=True
    )
    assert words in answer.content.decode()
    with scope(brand):
        assert StripeOperation.objects.get().state == "pending"


@pytest.mark.parametrize("plan", ["", "trial", "leads_gigantic", "leads_growth\x00"])
def test_a_plan_that_is_not_for_sale(
    customer: Client, brand: Any, stripe: Stripe, plan: str
) -> None:
    before = stripe.writes()
    answer = customer.post(f"/b/{brand.slug}/billing/checkout/", {"plan": plan}, follow=True)
    assert "This plan isn&#x27;t for sale" in answer.content.decode()
    assert stripe.writes() == before


def test_strangers_and_small_roles_stay_out(client_for: Any, brand: Any) -> None:
    from accounts.models import Membership
    from saas.tenancy import everyone
    from tests.factories import make_user

    stranger = client_for(make_brand().email and make_user())
    assert stranger.get(f"/b/{brand.slug}/billing/").status_code == 404
    for role, seen in (("viewer", 403), ("member", 403), ("admin", 200)):
        person = make_user()
        with everyone("test"):
            Membership.objects.create(brand=brand, user=person, role=role)
        client = client_for(person)
        assert client.get(f"/b/{brand.slug}/billing/").status_code == seen
        assert client.get(f"/b/{brand.slug}/billing/subscribe/").status_code == 403
        assert client.post(f"/b/{brand.slug}/billing/checkout/").status_code == 403
        assert client.post(f"/b/{brand.slug}/billing/cancel/").status_code == 403
