"""What Stripe may do and our stand-in seldom does: ends set as a moment, namesakes, things gone."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from billing import (
    catalog_sync,
    checkout,
    operations,
    promotions,
    schedules,
    subscriptions,
    usage,
)
from billing.models import Checkout, PromotionCode, StripeOperation, Subscription
from saas.errors import Misconfigured
from saas.tenancy import everyone, scope
from tests.billing.conftest import Stripe
from tests.contracts import contract
from tests.contracts.samples import NOW, sample
from tests.factories import make_user

pytestmark = pytest.mark.usefixtures("catalog")


def write(path: str, **params: Any) -> dict[str, Any]:
    """What somebody else does at Stripe: its portal, or staff in its dashboard."""
    from billing import gateway

    return gateway.write("post", f"/v1/{path}", params, key=f"{path} {sorted(params.items())}")


@pytest.fixture
def subscribed(brand: Any, owner: Any, stripe: Stripe) -> Subscription:
    url = checkout.start(brand=brand, plan="leads_growth", currency="usd", actor=owner)
    assert stripe.pay(url).status_code == 303
    stripe.deliver()
    with scope(brand):
        row: Subscription = Subscription.objects.get()
    return row


def end_at_the_portal(row: Subscription) -> None:
    found = write(f"subscriptions/{row.stripe_id}", cancel_at="max_period_end")
    assert (found["cancel_at_period_end"], found["cancel_at"] is None) == (False, False)


def test_an_end_from_stripes_portal_is_shown_and_taken_back(
    brand: Any, owner: Any, stripe: Stripe, subscribed: Subscription, client_for: Any
) -> None:
    end_at_the_portal(subscribed)
    stripe.deliver()
    client: Client = client_for(owner)
    assert "Ends soon" in client.get(f"/b/{brand.slug}/billing/").content.decode()

    client.post(f"/b/{brand.slug}/billing/resume/")
    [found] = stripe.objects("subscriptions")
    assert (found["cancel_at"], found["cancel_at_period_end"]) == (None, False)
    assert "Ends soon" not in client.get(f"/b/{brand.slug}/billing/").content.decode()


def test_a_later_cancellation_is_not_undone_by_the_second_half_of_going_on(
    brand: Any, owner: Any, stripe: Stripe, subscribed: Subscription
) -> None:
    end_at_the_portal(subscribed)
    with scope(brand):
        goes_on = subscriptions._begin(subscribed, ending=False)
        claimed = operations._claim(goes_on)
        assert claimed
        ends = subscriptions._begin(subscribed, ending=True)
    operations._attempt(claimed)
    operations.execute(ends)
    [found] = stripe.objects("subscriptions")
    assert found["cancel_at_period_end"] is True
    with scope(brand):
        kinds = StripeOperation.objects.filter(kind="subscription.update")
        assert list(kinds.values_list("state", flat=True)) == ["done", "done"]


def test_a_session_that_stripe_does_not_have_holds_no_place(
    brand: Any, owner: Any, stripe: Stripe
) -> None:
    checkout.start(brand=brand, plan="leads_growth", currency="usd", actor=owner)
    with scope(brand):
        Checkout.objects.update(session="cs_gone")
    assert checkout.refresh("cs_gone") is False
    with scope(brand):
        assert Checkout.objects.get().state == "expired"


def test_a_code_is_known_by_its_tag_and_not_by_its_name(stripe: Stripe) -> None:
    staff = make_user(email="staff@example.test")
    promotions.create(PromotionCode(code="SPRING", name="Spring", percent_off=20), actor=staff)
    while due := operations.due():
        for one in due:
            operations.execute(one)
    code = PromotionCode.objects.get()
    write(f"promotion_codes/{code.stripe_id}", active=False)
    namesake = {"type": "coupon", "coupon": code.stripe_coupon}
    write("promotion_codes", code="SPRING", promotion=namesake)
    with everyone("test"):
        made = StripeOperation.objects.get(kind="promotion_code.create")
    found = promotions._look_for_code(made)
    assert found
    assert found["id"] == code.stripe_id


def test_a_meter_that_was_switched_off_is_not_there(stripe: Stripe) -> None:
    assert catalog_sync.diff().changes == []
    [meter] = stripe.objects("billing/meters")
    write(f"billing/meters/{meter['id']}/deactivate")
    [change] = catalog_sync.diff().changes
    assert change.subject == meter["event_name"]
    payload = {"stripe_customer_id": "cus_1", "value": "1"}
    params = {"event_name": meter["event_name"], "timestamp": NOW, "payload": payload}
    with pytest.raises(Misconfigured):
        usage._look_for_event(StripeOperation(params=params))
    catalog_sync.apply(change)
    assert catalog_sync.diff().changes == []


def test_a_planned_change_says_again_what_the_running_phase_has(brand: Any) -> None:
    """An update replaces the phases: without it a trial would end, and tax would be left off."""
    schedule = sample("subscription_schedule", id="sub_sched_1")
    schedule["phases"][0] |= {"trial_end": NOW + 9, "automatic_tax": {"enabled": True}}
    then = [{"price": "price_then", "quantity": 1}]
    asked = {"_items": then, "_interval": "month", "_discounts": [], "_subscription": "sub_1"}
    with scope(brand):
        schedules._schedule_made(StripeOperation(params=asked), schedule)
        params = StripeOperation.objects.get(kind="schedule.update").params
    now, following = params["phases"]
    assert now["trial_end"] == NOW + 9
    assert "trial_end" not in following
    assert now["automatic_tax"] == following["automatic_tax"] == {"enabled": True}
    sent = {name: value for name, value in params.items() if not name.startswith("_")}
    path = "/v1/subscription_schedules/sub_sched_1"
    assert contract().validate_request("POST", path, sent) == []


def test_stripes_own_pages_are_allowed_whatever_serves_its_api(
    brand: Any, owner: Any, client_for: Any
) -> None:
    policy = client_for(owner).get(f"/b/{brand.slug}/billing/subscribe/")["Content-Security-Policy"]
    [targets] = [part for part in policy.split("; ") if part.startswith("form-action")]
    assert "https://checkout.stripe.com" in targets
    assert "https://billing.stripe.com" in targets
