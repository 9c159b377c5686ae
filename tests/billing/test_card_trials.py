"""The trial with a card: one a person, a brand and a card, whatever anyone does."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from auditlog.models import LogEntry
from django.db import IntegrityError, transaction
from django.test import Client

from accounts import privacy
from billing import checkout, entitlements, gateway, projection
from billing.models import BillingAccount, CardTrial, Checkout, Subscription
from saas.errors import Refused
from saas.tenancy import everyone, scope
from tests.billing.conftest import DECLINED, GOOD, Stripe, card, pass_days
from tests.billing.trying import (
    account,
    begin_trial,
    charged,
    granted,
    open_trial,
    refusals,
    row,
    settle,
    statuses,
)
from tests.factories import make_brand, make_user

pytestmark = pytest.mark.usefixtures("catalog", "patient")


@pytest.fixture
def customer(client_for: Any, owner: Any) -> Client:
    return client_for(owner)


def words(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().replace("&#x27;", "'").split())


def test_a_trial_has_the_plan_s_rights_and_charges_nothing(
    customer: Client, brand: Any, owner: Any, stripe: Stripe
) -> None:
    back = begin_trial(brand, owner, stripe)
    [session] = stripe.objects("checkout/sessions")
    assert session["payment_method_collection"] == "always"
    assert session["payment_method_types"] == ["card"]
    [held] = stripe.objects("subscriptions")
    assert held["trial_settings"]["end_behavior"]["missing_payment_method"] == "cancel"
    assert held["trial_end"] - held["trial_start"] == 7 * 86_400
    assert (statuses(stripe), charged(stripe)) == (["trialing"], [])
    assert account(brand) == ("leads_growth", "active")
    with scope(brand):
        rights = entitlements.of(brand.pk)
        assert (rights.live, rights.lead_quota, rights.devices) == (True, 250_000, 5)
        assert entitlements.admit_leads(brand.pk, 200_000).granted == 200_000
        [grant] = CardTrial.objects.all()
    assert (grant.of_brand_id, grant.person_id) == (brand.pk, owner.pk)
    assert grant.subscription == held["id"]
    assert grant.card

    day = f"{row(brand).trial_ends_at:%-d %B %Y}"
    ended = words(customer, back)
    assert "Your trial of Growth has begun" in ended
    assert f"Your trial ends on {day}; then $149.00 before tax is charged to your Visa" in ended
    shown = words(customer, f"/b/{brand.slug}/billing/")
    assert f"<dt>Trial ends</dt><dd>{day}" in shown
    assert f"<dt>First charge</dt><dd>$149.00 on {day}" in shown
    assert "you are charged nothing" in shown
    home = words(customer, f"/b/{brand.slug}/")
    assert f"Your trial ends on {day.rsplit(' ', 1)[0]}; then $149.00 before tax is charged" in home
    assert stripe.control("violations") == []


def test_the_pages_offer_it_to_whom_it_is_open(
    customer: Client, brand: Any, owner: Any, stripe: Stripe
) -> None:
    page = f"/b/{brand.slug}/billing/subscribe/"
    assert words(customer, page).count('name="trial"') == 4
    assert "days free with a card, once" in words(Client(), "/pricing/")
    answer = customer.post(
        f"/b/{brand.slug}/billing/checkout/", {"plan": "leads_starter", "trial": "1"}
    )
    assert answer.status_code == 303
    stripe.pay(answer["Location"])
    settle(stripe)
    assert row(brand).on_trial
    further = make_brand(owner=owner)
    page = words(customer, f"/b/{further.slug}/billing/subscribe/")
    assert 'name="trial"' not in page
    answer = customer.post(
        f"/b/{further.slug}/billing/checkout/",
        {"plan": "leads_starter", "trial": "1"},
        follow=True,
    )
    assert "You can subscribe without one." in answer.content.decode()


def test_a_plan_without_a_trial_has_none(brand: Any, owner: Any, stripe: Stripe) -> None:
    with pytest.raises(Refused, match="Scale has no trial"):
        open_trial(brand, owner, "leads_scale")


def test_subscribing_at_once_stays_possible_and_uses_no_trial(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    trial = open_trial(brand, owner)
    paid = checkout.start(brand=brand, plan="leads_growth", currency="usd", actor=owner)
    assert trial != paid
    assert stripe.pay(trial).status_code != 303
    stripe.pay(paid)
    settle(stripe)
    assert (charged(stripe), granted()) == ([14_900], 0)


def test_a_page_that_is_left_and_a_declined_card_use_no_trial(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    url = open_trial(brand, owner)
    assert stripe.pay(url, card=DECLINED).status_code != 303
    settle(stripe)
    assert granted() == 0
    pass_days(stripe, time_machine, 1.1)
    with scope(brand):
        assert Checkout.objects.get().state == "expired"
    begin_trial(make_brand(owner=owner), owner, stripe)
    assert granted() == 1


def test_another_owner_s_open_page_is_not_the_first_one_s_trial(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    from accounts.models import Membership

    second = make_user()
    with scope(brand):
        Membership.objects.create(brand=brand, user=second, role="owner")
    first = open_trial(brand, owner)
    assert open_trial(brand, owner) == first
    assert begin_trial(brand, second, stripe)
    assert stripe.pay(first).status_code != 303
    assert CardTrial.objects.get().person_id == second.pk


def test_two_brands_of_a_person_get_one_trial_with_any_cards(
    customer: Client, brand: Any, owner: Any, stripe: Stripe
) -> None:
    further = make_brand(owner=owner)
    pages = [open_trial(brand, owner), open_trial(further, owner)]
    for number, url in enumerate(pages, 1):
        assert stripe.pay(url, card=card(number)).status_code == 303
    settle(stripe)
    assert refusals(brand, further) == ["", "person"]
    assert statuses(stripe) == ["canceled", "trialing"]
    assert granted() == 1
    shown = words(customer, f"/b/{further.slug}/billing/") + words(
        customer, f"/b/{brand.slug}/billing/"
    )
    assert shown.count("You have already had a trial with a card.") == 1


def test_a_card_has_one_trial_whoever_uses_it(
    brand: Any, owner: Any, stripe: Stripe, client_for: Any, time_machine: Any
) -> None:
    begin_trial(brand, owner, stripe, GOOD)
    other = make_user()
    theirs = make_brand(owner=other)
    back = begin_trial(theirs, other, stripe, "4242 4242 4242 4242")
    assert refusals(brand, theirs) == ["", "card"]
    assert statuses(stripe) == ["canceled", "trialing"]
    assert account(theirs) == ("trial", "trialing")  # as before
    client = client_for(other)
    for page in (back, f"/b/{theirs.slug}/billing/"):
        shown = words(client, page)
        assert "This card has already had a trial" in shown
        assert "You were not charged" in shown
        assert "Subscribe without a trial" in shown
        assert brand.name not in shown
    with scope(theirs):
        assert LogEntry.objects.filter(additional_data__event="trial.refused").count() == 1
    pass_days(stripe, time_machine, 40)
    theirs_paid = [i for i in stripe.objects("invoices") if i["customer"] == customer_of(theirs)]
    assert [one["amount_paid"] for one in theirs_paid] == [0]

    url = checkout.start(brand=theirs, plan="leads_growth", currency="usd", actor=other)
    stripe.pay(url)
    settle(stripe)
    assert account(theirs) == ("leads_growth", "active")
    client = client_for(other)  # the session of before is over
    assert "already had a trial" not in words(client, f"/b/{theirs.slug}/billing/")


def customer_of(brand: Any) -> str:
    with scope(brand):
        return str(BillingAccount.objects.get().stripe_customer)


@pytest.mark.parametrize("seed", range(5))
def test_doubled_and_shuffled_news_make_no_difference(
    brand: Any, owner: Any, stripe: Stripe, seed: int
) -> None:
    other = make_user()
    theirs = make_brand(owner=other)
    for one, person in ((brand, owner), (theirs, other)):
        assert stripe.pay(open_trial(one, person)).status_code == 303
    stripe.deliver(shuffled=seed, copies=3)
    settle(stripe)
    assert refusals(brand, theirs) == ["", "card"]
    assert statuses(stripe) == ["canceled", "trialing"]
    assert sorted([account(brand), account(theirs)]) == [
        ("leads_growth", "active"),
        ("trial", "trialing"),
    ]
    for stripe_id in [one["id"] for one in stripe.objects("subscriptions", status="all")]:
        projection.subscription(stripe_id)
    assert (granted(), charged(stripe)) == (1, [])


def test_a_card_that_stripe_names_late_is_judged_then(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    begin_trial(brand, owner, stripe)
    other = make_user()
    theirs = make_brand(owner=other)
    CardTrial.objects.update(card=None)
    assert stripe.pay(open_trial(theirs, other)).status_code == 303
    settle(stripe)
    assert refusals(brand, theirs) == ["", ""]
    projection.subscription(row(brand).stripe_id)
    settle(stripe)
    assert refusals(brand, theirs) == ["", "card"]
    assert statuses(stripe) == ["canceled", "trialing"]


def test_neither_leaving_nor_erasing_brings_a_second_one(
    brand: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    begin_trial(brand, owner, stripe)
    subscription = row(brand).stripe_id
    gateway.write("delete", f"/v1/subscriptions/{subscription}", {}, key="end")
    settle(stripe)
    with scope(brand):
        privacy.request_erasure(brand, actor=owner)
    privacy.erase(brand.pk)
    further = make_brand(owner=owner)
    with pytest.raises(Refused, match="already had a trial"):
        open_trial(further, owner)
    with everyone("test"):
        further.delete()
        owner.delete()
    [grant] = CardTrial.objects.all()
    assert (grant.person_id, grant.of_brand_id, grant.subscription) == (None, None, subscription)
    newcomer = make_user()
    theirs = make_brand(owner=newcomer)
    begin_trial(theirs, newcomer, stripe)
    assert refusals(theirs) == ["card"]


def test_another_owner_of_the_brand_gets_no_second_one_for_it(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    begin_trial(brand, owner, stripe)
    gateway.write("delete", f"/v1/subscriptions/{row(brand).stripe_id}", {}, key="end")
    settle(stripe)
    with pytest.raises(Refused, match="already had a trial"):
        open_trial(brand, make_user())


@pytest.mark.parametrize("column", ["person", "of_brand", "card", "subscription"])
def test_the_database_holds_it(brand: Any, owner: Any, column: str) -> None:
    first = {"person": owner, "of_brand": brand, "card": "a", "subscription": "sub_1"}
    other = make_brand()
    second = {"person": make_user(), "of_brand": other, "card": "b", "subscription": "sub_2"}
    CardTrial.objects.create(**first)
    with pytest.raises(IntegrityError, match=f"billing_cardtrial_{column}"), transaction.atomic():
        CardTrial.objects.create(**(second | {column: first[column]}))


def test_a_trial_that_staff_give_at_stripe_is_not_judged(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    begin_trial(brand, owner, stripe)
    theirs = make_brand()
    give(theirs, stripe, trial_period_days=30)
    assert refusals(brand, theirs) == ["", ""]
    assert granted() == 1


def give(brand: Any, stripe: Stripe, **more: Any) -> None:
    """Subscribe somebody in Stripe's dashboard."""
    customer = checkout.customers.ensure(brand.pk)
    attach = "/v1/payment_methods/pm_card_visa/attach"
    method = gateway.write("post", attach, {"customer": customer}, key=f"card {brand.pk}")
    price = checkout.price_id("leads_starter_month_v1")
    params = {"customer": customer, "items": [{"price": price}]}
    params |= {"default_payment_method": method["id"], **more}
    gateway.write("post", "/v1/subscriptions", params, key=f"gift {brand.pk}")
    settle(stripe)


def test_a_trial_beside_a_paid_plan_is_ended_and_not_used_up(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    url = open_trial(brand, owner)
    give(brand, stripe)
    assert stripe.pay(url, card=card(1)).status_code == 303
    settle(stripe)
    assert statuses(stripe) == ["active", "canceled"]
    with scope(brand):
        assert Subscription.objects.get(duplicate=True).trial_refused == ""
    assert (account(brand)[0], granted()) == ("leads_starter", 0)


def test_a_refused_trial_never_pushes_a_paid_plan_out(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    """The trial began first and is seen last; its card was used elsewhere."""
    other = make_user()
    begin_trial(make_brand(owner=other), other, stripe)
    assert stripe.pay(open_trial(brand, owner)).status_code == 303
    trial = stripe.objects("subscriptions")[0]["id"]
    held = stripe.pending()
    stripe.advance(0.01)
    customer = customer_of(brand)
    price = checkout.price_id("leads_starter_month_v1")
    method = stripe.objects(f"customers/{customer}/payment_methods")[0]["id"]
    params = {"customer": customer, "items": [{"price": price}], "default_payment_method": method}
    gateway.write("post", "/v1/subscriptions", params, key="paid")
    settle(stripe)
    assert account(brand) == ("leads_starter", "active")
    assert held
    projection.subscription(trial)
    settle(stripe)
    assert account(brand) == ("leads_starter", "active")
    assert refusals(brand) == ["", "card"]


def test_another_brand_s_session_says_nothing(
    brand: Any, owner: Any, stripe: Stripe, client_for: Any
) -> None:
    back = begin_trial(brand, owner, stripe)
    session = back.rpartition("=")[2]
    stranger = make_user()
    theirs = make_brand(owner=stranger)
    client = client_for(stranger)
    assert "We don't know this payment" in words(
        client, f"/b/{theirs.slug}/billing/return/?session={session}"
    )
    assert client.get(urlsplit(back).path).status_code == 404
