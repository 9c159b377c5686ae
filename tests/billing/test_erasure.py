"""A brand that is erased leaves nothing at Stripe that somebody could be charged for."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.management import call_command

from accounts import privacy
from accounts.models import Brand
from billing import catalog as catalog_of_plans
from billing import checkout, gateway, operations, projection, subscriptions
from billing.models import Checkout, StripeOperation, Subscription
from saas.errors import Refused
from saas.tenancy import everyone, scope
from tests.accounts.helpers import at_once
from tests.billing.conftest import Stripe, open_null
from tests.billing.trying import begin_trial, charged, open_trial, settle, statuses
from tests.factories import make_brand, make_user

CLOSING = "A payment page of this brand is being closed. Try again in a few minutes."
CANCELLING = "A cancellation is on its way to Stripe. Try again in a few minutes."
AWAY = {"kind": "status", "status": 503}


def visit(brand: Any, owner: Any) -> str:
    return checkout.start(brand=brand, plan="leads_growth", currency="usd", actor=owner)


def delete(client_for: Any, brand: Any, owner: Any) -> str:
    client, form = client_for(owner), {"name": brand.name}
    answer = client.post(f"/b/{brand.slug}/settings/delete/", form, follow=True)
    return str(answer.content.decode())


def request(brand: Any, owner: Any) -> None:
    privacy.prepare_erasure(brand.pk)
    with scope(brand):
        privacy.request_erasure(brand, actor=owner)


def is_there(brand: Any) -> bool:
    with everyone("test"):
        return bool(Brand.objects.filter(pk=brand.pk, erase_requested_at=None).exists())


def sessions(stripe: Stripe) -> list[str]:
    return [one["status"] for one in stripe.objects("checkout/sessions")]


def refused_trial(stripe: Stripe, brand: Any, owner: Any) -> tuple[Any, Any]:
    """Another brand's trial by the card of the first, whose cancellation is on its way."""
    begin_trial(brand, owner, stripe)
    person = make_user()
    other = make_brand(owner=person)
    stripe.pay(open_trial(other, person))
    stripe.deliver()
    return other, person


def test_deleting_closes_the_payment_page(
    catalog: None, client_for: Any, brand: Any, owner: Any, stripe: Stripe
) -> None:
    url = visit(brand, owner)
    assert "is closed. Its data is being deleted now." in delete(client_for, brand, owner)
    assert sessions(stripe) == ["expired"]
    assert stripe.pay(url).status_code != 303
    assert privacy.erase(brand.pk)
    assert (statuses(stripe), charged(stripe)) == ([], [])


def test_a_wrong_name_deletes_nothing_and_closes_nothing(
    catalog: None, client_for: Any, brand: Any, owner: Any, stripe: Stripe
) -> None:
    visit(brand, owner)
    answer = client_for(owner).post(f"/b/{brand.slug}/settings/delete/", {"name": "another"})
    assert answer.status_code == 422
    assert sessions(stripe) == ["open"]


def test_a_page_that_cannot_be_closed_now_keeps_the_brand(
    catalog: None, client_for: Any, brand: Any, owner: Any, stripe: Stripe
) -> None:
    visit(brand, owner)
    stripe.control("faults", {"match": "POST *", **AWAY})
    assert CLOSING in delete(client_for, brand, owner)
    assert is_there(brand)
    stripe.control("faults", method="DELETE")
    with scope(brand):
        StripeOperation.objects.filter(state="pending").update(next_attempt_at="2020-01-01T00:00Z")
    settle(stripe)
    assert sessions(stripe) == ["expired"]
    delete(client_for, brand, owner)
    assert not is_there(brand)


def test_a_page_that_is_paid_in_that_moment_keeps_the_brand(
    catalog: None,
    client_for: Any,
    brand: Any,
    owner: Any,
    stripe: Stripe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, write = visit(brand, owner), gateway.write

    def paid_first(method: Any, path: str, params: Any, *, key: str) -> Any:
        if path.endswith("/expire"):
            assert stripe.pay(url).status_code == 303
        return write(method, path, params, key=key)

    monkeypatch.setattr(gateway, "write", paid_first)
    assert "Cancel your plan under Billing first." in delete(client_for, brand, owner)
    assert is_there(brand)


def test_no_page_opens_beside_the_deletion(
    live_db: Any, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A click that was let in before the deletion begins its page after it."""
    call_command("sync_catalog", verbosity=0, stdout=open_null())
    owner = make_user()
    brand = make_brand(owner=owner)
    there, gone = threading.Event(), threading.Event()
    items = checkout.line_items

    def slow(chosen: Any) -> Any:
        found = items(chosen)
        there.set()
        assert gone.wait(20)
        return found

    def click() -> str:
        try:
            return visit(brand, owner)
        except Refused as e:
            return e.code

    def erase() -> str:
        assert there.wait(20)
        request(brand, owner)
        gone.set()
        return "requested"

    monkeypatch.setattr(checkout, "line_items", slow)
    assert at_once(click, erase) == ["brand_closed", "requested"]
    with everyone("test"):
        assert not Checkout.objects.exists()


def test_a_closed_brand_takes_no_wish_back(
    catalog: None, brand: Any, owner: Any, stripe: Stripe
) -> None:
    stripe.pay(visit(brand, owner))
    stripe.deliver()
    subscriptions.cancel(brand=brand, actor=owner)
    request(brand, owner)
    with pytest.raises(Refused, match="brand_closed"):
        subscriptions.resume(brand=brand, actor=owner)


def test_a_brand_waits_for_the_end_of_its_refused_trial(
    catalog: None, brand: Any, owner: Any, stripe: Stripe
) -> None:
    other, person = refused_trial(stripe, brand, owner)
    with pytest.raises(Refused) as refusal:
        request(other, person)
    assert refusal.value.message == CANCELLING
    with scope(other):
        StripeOperation.objects.filter(kind="subscription.cancel_now").update(state="stuck")
    with pytest.raises(Refused, match="cancellation_waits"):
        request(other, person)
    with scope(other):
        operations.retry(StripeOperation.objects.get(kind="subscription.cancel_now"))
    for operation in operations.due():
        operations.execute(operation)
    with pytest.raises(Refused, match="cancellation_waits"):  # its end isn't known here yet
        request(other, person)
    settle(stripe)
    request(other, person)
    assert privacy.erase(other.pk)
    assert (statuses(stripe), charged(stripe)) == (["canceled", "trialing"], [])


def test_after_a_refused_trial_one_may_subscribe_at_once(
    catalog: None, brand: Any, owner: Any, stripe: Stripe
) -> None:
    other, person = refused_trial(stripe, brand, owner)
    assert stripe.pay(visit(other, person)).status_code == 303
    stripe.deliver()
    with scope(other):
        rows = Subscription.objects.order_by("duplicate").values_list("status", "duplicate")
        assert list(rows) == [("active", False), ("trialing", True)]
    settle(stripe)
    assert statuses(stripe) == ["active", "canceled", "trialing"]


def leave_behind(brand: Any, owner: Any, stripe: Stripe) -> str:
    """Erase a brand, and let its subscription begin at Stripe afterwards all the same."""
    stripe.pay(visit(brand, owner))
    stripe.deliver()
    subscriptions.cancel(brand=brand, actor=owner)
    request(brand, owner)
    assert privacy.erase(brand.pk)
    [one] = stripe.objects("subscriptions")
    stripe_id = str(one["id"])
    settle(stripe)
    assert statuses(stripe) == ["active"]  # it ends by itself
    path = f"/v1/subscriptions/{stripe_id}"
    gateway.write("post", path, {"cancel_at_period_end": False}, key="resumed in the portal")
    return stripe_id


def test_a_subscription_whose_brand_is_gone_is_ended(
    catalog: None, brand: Any, owner: Any, stripe: Stripe
) -> None:
    stripe_id = leave_behind(brand, owner, stripe)
    settle(stripe)
    assert statuses(stripe) == ["canceled"]
    projection.subscription(stripe_id)
    with everyone("test"):
        ended = StripeOperation.objects.get(kind="subscription.cancel_now")
        assert (ended.brand_id, ended.state) == (None, "done")


def test_a_strangers_subscription_is_left_alone(
    catalog: None, brand: Any, owner: Any, stripe: Stripe
) -> None:
    """Another installation at the same account has a brand of the same number."""
    theirs = gateway.write("post", "/v1/customers", {"email": "b@example.test"}, key="theirs")
    price = checkout.price_id(catalog_of_plans.PLANS["leads_growth"].lookup_key("month"))
    leave_behind(brand, owner, stripe)
    settle(stripe)
    made = gateway.write(
        "post",
        "/v1/subscriptions",
        {
            "customer": theirs["id"],
            "items": [{"price": price}],
            "metadata": {"brand": str(brand.pk)},
            "trial_period_days": 7,
        },
        key="their subscription",
    )
    assert projection.subscription(made["id"]) is False
    settle(stripe)
    assert statuses(stripe) == ["canceled", "trialing"]
