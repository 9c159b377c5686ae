"""What is promised and said of a change: one at a time, and told also when it comes late."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import Mail
from billing import changes, promotions
from billing.models import PromotionCode, Subscription
from saas.errors import Refused
from saas.tenancy import scope
from tests.billing.conftest import Stripe, end_outage, open_null, pass_days
from tests.billing.test_bank import ASKS_ALWAYS, answer, ask, put_in
from tests.billing.test_changes import newest_invoice, plan_of, preview, subscribe
from tests.factories import make_brand, make_user

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def subscribed(catalog: None, brand: Any, owner: Any, stripe: Stripe) -> Any:
    return subscribe(brand, owner, stripe, "leads_starter")


@pytest.fixture
def client(client_for: Any, owner: Any) -> Client:
    found: Client = client_for(owner)
    return found


def page(client: Client, brand: Any) -> str:
    text = client.get(f"/b/{brand.slug}/billing/").content.decode()
    return " ".join(text.replace("&#x27;", "'").split())


def press(client: Client, brand: Any, name: str, **form: str) -> list[str]:
    answer = client.post(f"/b/{brand.slug}/billing/change/{name}/", form, follow=True)
    return [str(one) for one in answer.context["messages"]]


def outage(stripe: Stripe, match: str = "POST /v1/subscriptions/*") -> None:
    stripe.control("faults", {"kind": "status", "status": 503, "match": match})


def test_a_second_promise_of_the_same_second_is_refused(
    subscribed: Any, owner: Any, stripe: Stripe, monkeypatch: pytest.MonkeyPatch, time_machine: Any
) -> None:
    """Whose first change is done at Stripe, but is not in our row yet."""
    time_machine.move_to(timezone.now(), tick=False)
    growth, scale = preview(subscribed, "leads_growth"), preview(subscribed, "leads_scale")
    monkeypatch.setattr(changes.projection, "subscription", lambda _: True)
    changes.change(brand=subscribed, promise=growth.promise, actor=owner)
    with pytest.raises(Refused, match="Another change is on its way") as refusal:
        changes.change(brand=subscribed, promise=scale.promise, actor=owner)
    assert refusal.value.code == "on_its_way"
    assert newest_invoice(stripe)["total"] == growth.today.minor
    assert len(stripe.objects("invoices")) == 2


def test_a_larger_and_a_smaller_plan_do_not_both_go(
    subscribed: Any, owner: Any, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller, larger = preview(subscribed, "vpn_team", seats=3), preview(subscribed, "leads_scale")
    assert not smaller.at_once
    monkeypatch.setattr(changes.projection, "subscription", lambda _: True)
    changes.change(brand=subscribed, promise=smaller.promise, actor=owner)
    with pytest.raises(Refused, match="Another change is on its way"):
        changes.change(brand=subscribed, promise=larger.promise, actor=owner)


def test_two_tabs_in_one_moment_make_one_change(
    live_db: Any, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked at our row before either writes: the moment that the lock is for."""
    call_command("sync_catalog", verbosity=0, stdout=open_null())
    owner = make_user()
    brand = subscribe(make_brand(owner=owner), owner, stripe, "leads_starter")
    shown = {plan: preview(brand, plan) for plan in ("leads_growth", "leads_scale")}
    looked, looking = threading.Barrier(2), changes._wanted
    answers: dict[str, Any] = {}

    def look(*args: Any) -> Any:
        found = looking(*args)
        looked.wait(20)
        return found

    def click(plan: str) -> None:
        try:
            promise = shown[plan].promise
            answers[plan] = changes.change(brand=brand, promise=promise, actor=owner)
        except Refused as e:
            answers[plan] = e.code
        finally:
            connection.close()

    monkeypatch.setattr(changes, "_wanted", look)
    threads = [threading.Thread(target=click, args=[plan]) for plan in shown]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [done] = [plan for plan, said in answers.items() if said == "done"]
    assert set(answers.values()) - {"done"} <= {"on_its_way", "out_of_date"}
    assert plan_of(brand)[0] == done
    assert newest_invoice(stripe)["total"] == shown[done].today.minor


def test_a_change_that_is_kept_is_on_the_page_and_is_the_only_one(
    subscribed: Any, stripe: Stripe, client: Client
) -> None:
    shown = preview(subscribed, "leads_scale")
    outage(stripe)
    [said] = press(client, subscribed, "apply", promise=shown.promise)
    assert "Your change is kept" in said
    text = page(client, subscribed)
    assert "Your change to Scale is on its way to Stripe." in text
    assert "Change the plan" not in text
    with pytest.raises(Refused, match="Your change to Scale is on its way"):
        preview(subscribed, "leads_growth")
    assert "on its way" in press(client, subscribed, "keep")[0]
    end_outage(stripe)
    assert plan_of(subscribed)[0] == "leads_scale"
    assert "on its way" not in page(client, subscribed)
    assert not Mail.objects.exists()


def test_a_planned_change_that_is_kept_is_on_the_page(
    subscribed: Any, stripe: Stripe, client: Client
) -> None:
    shown = preview(subscribed, "vpn_team", seats=3)
    outage(stripe, "POST /v1/subscription_schedules/*")
    press(client, subscribed, "apply", promise=shown.promise)
    text = page(client, subscribed)
    assert f"Your change to {shown.offer.plan.name} is on its way" in text
    end_outage(stripe)
    assert "on its way" not in page(client, subscribed)


def test_a_kept_change_that_the_card_declines_is_told(
    subscribed: Any, owner: Any, stripe: Stripe, client: Client
) -> None:
    put_in(stripe, "chargeCustomerFail")
    shown = preview(subscribed, "leads_scale")
    outage(stripe)
    press(client, subscribed, "apply", promise=shown.promise)
    end_outage(stripe)
    assert plan_of(subscribed)[0] == "leads_starter"
    mail = Mail.objects.get()
    assert (mail.to, mail.subject) == (owner.email, f"{subscribed.name} is not on Scale yet")
    for body in (mail.text.reveal(), mail.html.reveal()):
        assert "Your card was declined." in body
        assert f"/b/{subscribed.slug}/billing/" in body
    assert "Change the plan" in page(client, subscribed)


def test_a_kept_change_that_the_bank_asks_about_waits_for_it(
    subscribed: Any, owner: Any, stripe: Stripe, client: Client
) -> None:
    put_in(stripe, ASKS_ALWAYS)
    shown = preview(subscribed, "leads_scale")
    outage(stripe)
    press(client, subscribed, "apply", promise=shown.promise)
    end_outage(stripe)
    assert "Waiting for your bank." in page(client, subscribed)
    mail = Mail.objects.get()
    assert "Your bank wants you to confirm the payment." in mail.text.reveal()
    answer(stripe, passed=True)
    stripe.deliver()
    assert plan_of(subscribed)[0] == "leads_scale"
    assert newest_invoice(stripe)["total"] == shown.today.minor


def test_who_is_still_there_gets_no_mail(subscribed: Any, stripe: Stripe, client: Client) -> None:
    put_in(stripe, "chargeCustomerFail")
    shown = preview(subscribed, "leads_scale")
    assert "declined" in press(client, subscribed, "apply", promise=shown.promise)[0]
    assert not Mail.objects.exists()


def test_too_late_to_keep_the_plan_after_the_bank_agreed(
    subscribed: Any, owner: Any, stripe: Stripe, client: Client
) -> None:
    ask(subscribed, owner, stripe)
    answer(stripe, passed=True)
    stripe.deliver()
    assert press(client, subscribed, "keep") == ["It is too late: you are on Scale already."]


@pytest.mark.parametrize("told", [True, False])
def test_too_late_to_keep_the_plan_after_the_period(
    subscribed: Any, owner: Any, stripe: Stripe, client: Client, time_machine: Any, told: bool
) -> None:
    shown = preview(subscribed, "vpn_team", seats=3)
    assert press(client, subscribed, "apply", promise=shown.promise)
    pass_days(stripe, time_machine, 31.5, told=told)
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    [said] = press(client, subscribed, "keep")
    assert said == f"It is too late: you are on {shown.offer.plan.name} already."


def test_a_plan_that_is_kept_twice_stays(subscribed: Any, stripe: Stripe, client: Client) -> None:
    shown = preview(subscribed, "vpn_team", seats=3)
    press(client, subscribed, "apply", promise=shown.promise)
    for _ in range(2):
        assert press(client, subscribed, "keep") == ["Your plan stays as it is."]


def test_an_open_payment_comes_before_a_change(
    subscribed: Any, owner: Any, stripe: Stripe, client: Client, time_machine: Any
) -> None:
    put_in(stripe, "chargeCustomerFail")
    pass_days(stripe, time_machine, 31.5)
    with scope(subscribed):
        assert Subscription.objects.get().status == "past_due"
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    text = page(client, subscribed)
    assert "Change the plan" not in text
    assert "A payment is open. Pay it first" in text
    where = f"/b/{subscribed.slug}/billing/change/"
    for path in (where, f"{where}preview/?plan=leads_scale&interval=month"):
        assert "A payment is open. Pay it first" in client.get(path, follow=True).content.decode()


def test_the_bank_and_a_promotion_code_do_not_go_together(
    subscribed: Any, stripe: Stripe, client: Client
) -> None:
    staff = make_user(email="staff@example.test")
    promotions.create(PromotionCode(code="SPRING20", name="Spring", percent_off=20), actor=staff)
    end_outage(stripe)
    put_in(stripe, ASKS_ALWAYS)
    shown = changes.preview(
        brand=subscribed, plan="leads_scale", interval="month", seats=None, code="SPRING20"
    )
    [said] = press(client, subscribed, "apply", promise=shown.promise)
    assert "Try again without the code, or with another card." in said


def test_the_bank_and_a_metered_plan_do_not_go_together(
    metered: Any, stripe: Stripe, client: Client
) -> None:
    put_in(stripe, ASKS_ALWAYS)
    shown = preview(metered, "vpn_team", seats=10)
    [said] = press(client, metered, "apply", promise=shown.promise)
    assert "billed by use. Try again with another card." in said
