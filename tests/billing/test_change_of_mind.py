"""Cancel and Keep: the last word of a person counts, whatever happens to the ones before it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from django.utils.formats import date_format

from accounts import privacy
from billing import operations, subscriptions
from billing.models import StripeOperation, Subscription
from saas.errors import Refused
from saas.tenancy import everyone, scope
from tests.billing.conftest import Stripe, open_null, recover
from tests.billing.test_subscribing import choose, page
from tests.factories import make_brand, make_user

UPDATES = "POST /v1/subscriptions/*"
ON_ITS_WAY = "Your cancellation is on its way"
KEPT_ON_ITS_WAY = "Your wish to keep the plan is on its way"


@pytest.fixture
def customer(catalog: None, client_for: Any, owner: Any, brand: Any, stripe: Stripe) -> Client:
    """The owner of a brand that has just subscribed."""
    client: Client = client_for(owner)
    stripe.pay(choose(client, brand))
    stripe.deliver()
    return client


def ask(client: Client, brand: Any, wish: str) -> str:
    answer = client.post(f"/b/{brand.slug}/billing/{wish}/", follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def ends_at_stripe(stripe: Stripe) -> bool:
    [found] = stripe.objects("subscriptions", status="all")
    return bool(found["cancel_at_period_end"])


def sweep(stripe: Stripe) -> None:
    """Let time pass: whatever waits comes due and is carried out, and Stripe tells of it."""
    recover(rounds=1)
    stripe.deliver()


def updates(brand: Any) -> list[tuple[bool, str, str]]:
    with scope(brand):
        rows = StripeOperation.objects.filter(kind="subscription.update").order_by("created_at")
        return [(r.params["cancel_at_period_end"], r.state, r.error_code) for r in rows]


def fail(stripe: Stripe, **fault: Any) -> None:
    stripe.control("faults", {"kind": "status", "status": 503, "match": UPDATES, **fault})


def test_a_cancellation_that_fails_says_that_it_goes_on_and_does(
    customer: Client, brand: Any, stripe: Stripe
) -> None:
    fail(stripe, times=1)
    shown = ask(customer, brand, "cancel")
    assert "Your cancellation is kept, and is carried out by itself" in shown
    assert "Try again" not in shown
    assert ON_ITS_WAY in shown
    assert "Keep the plan</button>" in shown
    assert 'data-dialog-open="cancel"' not in shown
    assert ends_at_stripe(stripe) is False

    sweep(stripe)
    shown = page(customer, brand)
    assert ON_ITS_WAY not in shown
    assert "Ends soon" in shown
    assert ends_at_stripe(stripe) is True


@pytest.mark.parametrize("when", ["before", "after"])
def test_keep_stops_a_cancellation_that_waits(
    customer: Client, brand: Any, stripe: Stripe, when: str
) -> None:
    """Also one that Stripe has carried out, while its answer was lost."""
    fail(stripe, times=1, when=when)
    ask(customer, brand, "cancel")
    assert ends_at_stripe(stripe) is (when == "after")
    shown = ask(customer, brand, "resume")
    assert "Your plan goes on." in shown
    assert ON_ITS_WAY not in shown

    sweep(stripe)
    assert ends_at_stripe(stripe) is False
    assert "Active" in page(customer, brand)
    assert updates(brand) == [(True, "failed", "superseded"), (False, "done", "")]


def test_cancel_stops_a_keep_that_waits(customer: Client, brand: Any, stripe: Stripe) -> None:
    ask(customer, brand, "cancel")
    fail(stripe, times=1)
    shown = ask(customer, brand, "resume")
    assert "Your plan is to go on: we tell Stripe by ourselves" in shown
    assert KEPT_ON_ITS_WAY in shown
    assert "Keep the plan</button>" not in shown.split("<dialog")[0]
    assert "Your plan ends with the period" in ask(customer, brand, "cancel")

    sweep(stripe)
    assert ends_at_stripe(stripe) is True
    assert [state for _, state, _ in updates(brand)] == ["done", "failed", "done"]


def test_the_last_word_of_an_outage_is_the_one_that_stripe_hears(
    customer: Client, brand: Any, stripe: Stripe
) -> None:
    before = stripe.writes()
    fail(stripe)
    for wish in ("cancel", "cancel", "resume", "cancel", "resume"):
        ask(customer, brand, wish)
    assert [state for _, state, _ in updates(brand)] == ["failed"] * 3 + ["pending"]
    shown = page(customer, brand)
    assert ON_ITS_WAY not in shown
    assert KEPT_ON_ITS_WAY not in shown  # the plan has never stopped to go on
    refused = stripe.writes()
    assert refused > before
    stripe.control("faults", method="DELETE")
    sweep(stripe)
    assert stripe.writes() == refused + 1
    assert ends_at_stripe(stripe) is False


def test_keep_after_a_cancellation_whose_process_died(
    customer: Client, brand: Any, stripe: Stripe
) -> None:
    """It held the lease when it died; the lease has run out, the sweep has not come yet."""
    fail(stripe, times=1)
    ask(customer, brand, "cancel")
    over = timezone.now() - timedelta(seconds=1)
    with scope(brand):
        StripeOperation.objects.filter(state="pending").update(lease_until=over)
    ask(customer, brand, "resume")
    sweep(stripe)
    assert ends_at_stripe(stripe) is False
    assert updates(brand)[0] == (True, "failed", "superseded")


def test_keep_after_a_cancellation_that_the_sweep_has_just_carried_out(
    customer: Client, brand: Any, owner: Any, stripe: Stripe
) -> None:
    """Our row still says that the plan goes on: Stripe's event is under way."""
    fail(stripe, times=1)
    ask(customer, brand, "cancel")
    with everyone("test"):
        StripeOperation.objects.filter(state="pending").update(next_attempt_at=timezone.now())
    for operation in operations.due():
        operations.execute(operation)
    assert ends_at_stripe(stripe) is True
    with scope(brand):
        assert Subscription.objects.get().cancel_at_period_end is False
    ask(customer, brand, "resume")
    stripe.deliver()
    assert ends_at_stripe(stripe) is False
    assert "Active" in page(customer, brand)


def test_a_holder_that_wakes_up_late_does_not_bring_its_wish_back(
    customer: Client, brand: Any, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(stripe, times=1)
    ask(customer, brand, "cancel")
    with scope(brand):
        late = StripeOperation.objects.get(state="pending")
        StripeOperation.objects.update(next_attempt_at=timezone.now())
    send = operations._send

    def overslept(row: StripeOperation) -> Any:
        with scope(brand):
            over = timezone.now() - timedelta(seconds=1)
            StripeOperation.objects.filter(pk=row.pk).update(lease_until=over)
        monkeypatch.setattr(operations, "_send", send)
        ask(customer, brand, "resume")
        raise operations.Retryable("stripe")

    monkeypatch.setattr(operations, "_send", overslept)
    assert operations.execute(late).error_code == "superseded"
    sweep(stripe)
    assert ends_at_stripe(stripe) is False


def in_threads(*acts: Callable[[], object]) -> list[threading.Thread]:
    def closing(act: Callable[[], object]) -> None:
        try:
            with suppress(Refused):  # it is told that a later choice took its place
                act()
        finally:
            connection.close()

    threads = [threading.Thread(target=closing, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize("wishes", [["resume"], ["resume", "cancel"]])
def test_a_wish_at_stripe_is_followed_by_those_after_it_in_their_order(
    live_db: Any, stripe: Stripe, client_for: Any, wishes: list[str]
) -> None:
    call_command("sync_catalog", verbosity=0, stdout=open_null())
    owner = make_user()
    brand = make_brand(owner=owner)
    client = client_for(owner)
    stripe.pay(choose(client, brand))
    stripe.deliver()
    fail(stripe, kind="latency", seconds=2, times=1)
    act = {"cancel": subscriptions.cancel, "resume": subscriptions.resume}
    threads = in_threads(lambda: subscriptions.cancel(brand=brand, actor=owner))
    for number, wish in enumerate(wishes, 1):
        wait_for(lambda number=number: len(updates(brand)) == number and leased(brand))
        threads += in_threads(lambda wish=wish: act[wish](brand=brand, actor=owner))
    wait_for(lambda: len(updates(brand)) == len(wishes) + 1)
    assert ends_at_stripe(stripe) is False  # the first is still under way
    for thread in threads:
        thread.join()
    sweep(stripe)
    assert ends_at_stripe(stripe) is (wishes[-1] == "cancel")
    expected = [(True, "done", ""), (False, "failed", "superseded"), (True, "done", "")]
    if wishes == ["resume"]:
        expected = [(True, "done", ""), (False, "done", "")]
    assert updates(brand) == expected


def leased(brand: Any) -> bool:
    with scope(brand):
        return bool(StripeOperation.objects.filter(lease_until__gt=timezone.now()).exists())


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def refusal_to_delete(brand: Any, owner: Any) -> str:
    try:
        with scope(brand):
            privacy.request_erasure(brand, actor=owner)
    except Refused as e:
        return e.message
    return ""


def test_a_brand_is_not_deleted_while_the_last_word_is_on_its_way(
    customer: Client, brand: Any, owner: Any, stripe: Stripe
) -> None:
    """It would be charged for a brand that is gone, with nothing left that tells Stripe."""
    fail(stripe, times=1)
    ask(customer, brand, "cancel")
    assert "Your cancellation is on its way to Stripe." in refusal_to_delete(brand, owner)
    sweep(stripe)
    fail(stripe, times=1)
    ask(customer, brand, "resume")
    assert refusal_to_delete(brand, owner) == "Cancel your plan under Billing first."
    assert "Your plan ends with the period" in ask(customer, brand, "cancel")
    assert refusal_to_delete(brand, owner) == ""


def test_the_overview_s_plan_card_says_that_it_ends(
    customer: Client, brand: Any, stripe: Stripe
) -> None:
    def card() -> str:
        shown = customer.get(f"/b/{brand.slug}/").content.decode()
        return " ".join(shown[shown.index(">Plan<") :][:1500].split())

    with scope(brand):
        day = date_format(Subscription.objects.get().current_period_end, "j F")
    words = f"You cancelled it: it ends on {day}."
    assert words not in card()
    ask(customer, brand, "cancel")
    assert words in card()
    assert "Ends soon" in card()
    ask(customer, brand, "resume")
    assert words not in card()
    assert "Active" in card()
