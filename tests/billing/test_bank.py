"""A change of plan that the card's bank wants confirmed: asked, and nothing between two states."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from django.test import Client

from billing import changes, gateway, subscriptions
from billing.models import Invoice, StripeOperation, Subscription
from saas.errors import Refused
from saas.tenancy import everyone, scope
from tests.billing.conftest import Stripe, pass_days
from tests.billing.test_changes import newest_invoice, plan_of, preview, subscribe

pytestmark = pytest.mark.usefixtures("catalog", "patient")
ASKS_ALWAYS, ASKS_ONCE = "authenticationRequired", "authenticationRequiredOnSetup"
HOUR = 1 / 24


@pytest.fixture
def subscribed(brand: Any, owner: Any, stripe: Stripe) -> Any:
    return subscribe(brand, owner, stripe)


def put_in(stripe: Stripe, card: str) -> None:
    """Have the subscription paid with another test card from now on."""
    [found] = stripe.objects("subscriptions")
    where = f"/v1/payment_methods/pm_card_{card}/attach"
    method = gateway.write("post", where, {"customer": found["customer"]}, key=f"attach {card}")
    chosen = {"default_payment_method": method["id"]}
    gateway.write("post", f"/v1/subscriptions/{found['id']}", chosen, key=f"use {card}")
    stripe.deliver()


def answer(stripe: Stripe, *, passed: bool) -> None:
    """The payer answers the bank on Stripe's invoice page."""
    page = newest_invoice(stripe)["hosted_invoice_url"]
    at_bank = httpx.post(page, follow_redirects=False).headers["location"]
    assert "/3ds/" in at_bank
    httpx.post(at_bank, data={"passed": "yes" if passed else "no"}, follow_redirects=False)


def ask(brand: Any, owner: Any, stripe: Stripe, card: str = ASKS_ALWAYS) -> Any:
    """Ask for the larger plan with such a card; return the preview."""
    put_in(stripe, card)
    shown = preview(brand, "leads_scale")
    assert changes.change(brand=brand, promise=shown.promise, actor=owner) == "asked"
    return shown


def row_of(brand: Any) -> Subscription:
    with scope(brand):
        return Subscription.objects.get()


@pytest.mark.parametrize("card", [ASKS_ALWAYS, ASKS_ONCE])
def test_it_changes_when_the_bank_has_agreed_and_costs_what_was_shown(
    subscribed: Any, owner: Any, stripe: Stripe, card: str
) -> None:
    shown = ask(subscribed, owner, stripe, card)
    assert plan_of(subscribed) == ("leads_growth", "month", 1)
    assert newest_invoice(stripe)["status"] == "open"
    answer(stripe, passed=True)
    told = stripe.deliver()
    assert "customer.subscription.pending_update_applied" in told
    assert plan_of(subscribed) == ("leads_scale", "month", 1)
    assert not row_of(subscribed).waits
    invoice = newest_invoice(stripe)
    assert (invoice["total"], invoice["status"]) == (shown.today.minor, "paid")
    assert len(stripe.objects("invoices")) == 2  # of the refused attempt nothing stayed


def test_what_the_bank_refuses_can_be_tried_again(
    subscribed: Any, owner: Any, stripe: Stripe
) -> None:
    ask(subscribed, owner, stripe)
    answer(stripe, passed=False)
    stripe.deliver()
    row = row_of(subscribed)
    assert (row.plan, row.status, row.waits) == ("leads_growth", "active", True)
    answer(stripe, passed=True)
    stripe.deliver()
    assert plan_of(subscribed)[0] == "leads_scale"


def test_after_23_hours_everything_is_as_before(
    subscribed: Any, owner: Any, stripe: Stripe, time_machine: Any
) -> None:
    ask(subscribed, owner, stripe)
    stripe.deliver()
    pass_days(stripe, time_machine, 24 * HOUR)
    row = row_of(subscribed)
    assert (row.plan, row.status, row.pending_until) == ("leads_growth", "active", None)
    assert newest_invoice(stripe)["status"] == "void"
    assert preview(subscribed, "leads_scale").at_once  # and may be asked for again
    pass_days(stripe, time_machine, 31)
    assert newest_invoice(stripe)["lines"]["data"][-1]["amount"] == 14_900


def test_it_can_be_taken_back(subscribed: Any, owner: Any, stripe: Stripe) -> None:
    ask(subscribed, owner, stripe)
    changes.keep(brand=subscribed, actor=owner)
    changes.keep(brand=subscribed, actor=owner)  # a second click
    assert not row_of(subscribed).waits
    assert newest_invoice(stripe)["status"] == "void"
    stripe.deliver()
    assert plan_of(subscribed)[0] == "leads_growth"


def test_taken_back_too_late_it_holds(subscribed: Any, owner: Any, stripe: Stripe) -> None:
    ask(subscribed, owner, stripe)
    answer(stripe, passed=True)
    with pytest.raises(Refused) as refusal:
        changes.keep(brand=subscribed, actor=owner)
    assert refusal.value.code == "paid"
    assert plan_of(subscribed)[0] == "leads_scale"


def test_until_then_nothing_else_is_changed(subscribed: Any, owner: Any, stripe: Stripe) -> None:
    shown = ask(subscribed, owner, stripe)
    for act in (
        lambda: preview(subscribed, "leads_starter"),
        lambda: changes.change(brand=subscribed, promise=shown.promise, actor=owner),
        lambda: subscriptions.cancel(brand=subscribed, actor=owner),
    ):
        with pytest.raises(Refused) as refusal:
            act()
        assert refusal.value.code == "waiting"


def test_two_clicks_ask_once(
    subscribed: Any, owner: Any, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in(stripe, ASKS_ALWAYS)
    promise = preview(subscribed, "leads_scale").promise
    monkeypatch.setattr(changes.projection, "subscription", lambda _: True)
    for _ in range(2):
        assert changes.change(brand=subscribed, promise=promise, actor=owner) == "asked"
    assert [one["status"] for one in stripe.objects("invoices")] == ["open", "paid"]
    with everyone("a test"):
        states = StripeOperation.objects.filter(kind__startswith="subscription.")
        assert sorted(states.values_list("kind", "state")) == [
            ("subscription.ask", "done"),
            ("subscription.change", "failed"),
        ]


def test_a_card_that_is_declined_is_still_refused(
    subscribed: Any, owner: Any, stripe: Stripe
) -> None:
    put_in(stripe, "chargeCustomerFail")
    promise = preview(subscribed, "leads_scale").promise
    with pytest.raises(Refused) as refusal:
        changes.change(brand=subscribed, promise=promise, actor=owner)
    assert refusal.value.code == "card_declined"
    assert not row_of(subscribed).waits
    assert len(stripe.objects("invoices")) == 1


def test_a_metered_plan_does_not_wait(metered: Any, owner: Any, stripe: Stripe) -> None:
    """Stripe drops the usage on an invoice that is given up."""
    put_in(stripe, ASKS_ALWAYS)
    shown = preview(metered, "vpn_team", seats=10)
    with pytest.raises(Refused):
        changes.change(brand=metered, promise=shown.promise, actor=owner)
    assert not row_of(metered).waits


def test_the_page_leads_to_the_bank(subscribed: Any, owner: Any, stripe: Stripe) -> None:
    put_in(stripe, ASKS_ALWAYS)
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    base = f"/b/{subscribed.slug}/billing/"
    shown = client.get(f"{base}change/preview/?plan=leads_scale&interval=month").context["preview"]
    page = client.post(f"{base}change/apply/", {"promise": shown.promise}, follow=True)
    text = page.content.decode()
    assert "Your bank wants you to confirm the payment." in text
    assert "Waiting for your bank." in text
    assert page.context["waiting"].amount == shown.today
    with scope(subscribed):
        waiting = Invoice.objects.get(status="open")
    assert f'href="{waiting.page_url}"' in text
    assert "Change the plan" not in text
    assert "Cancel the plan" not in text
    kept = client.post(f"{base}change/keep/", follow=True).content.decode()
    assert "Waiting for your bank." not in kept
