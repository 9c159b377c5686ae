"""An outage, however long, or a key that Stripe refuses gives nothing up: it all goes on later."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing import inbox, operations, subscriptions
from billing.models import StripeInbox, StripeOperation, Subscription
from saas.errors import Misconfigured, Retryable
from saas.tenancy import everyone, scope
from tests.billing.conftest import Stripe
from tests.billing.test_subscribing import choose
from tests.billing.trying import begin_trial, charged, open_trial, statuses
from tests.factories import make_brand, make_user

pytestmark = pytest.mark.usefixtures("catalog")
AWAY = {"kind": "status", "status": 503}
REFUSED = {"kind": "status", "status": 401}


def attempts(times: int) -> None:
    """Let the sweep come by, each time when what waits is due."""
    for _ in range(times):
        with everyone("test"):
            waiting = StripeOperation.objects.filter(state="pending")
            waiting.update(next_attempt_at=timezone.now())
        for operation in operations.due():
            operations.execute(operation)


def operation(kind: str) -> StripeOperation:
    with everyone("test"):
        found: StripeOperation = StripeOperation.objects.get(kind=kind)
        return found


def subscribe(client: Client, brand: Any, stripe: Stripe) -> None:
    stripe.pay(choose(client, brand))
    stripe.deliver()


def cancel_in(
    fault: dict[str, Any], client: Client, brand: Any, owner: Any, stripe: Stripe
) -> StripeOperation:
    """Cancel in an outage, and let it last longer than any operation's attempts."""
    subscribe(client, brand, stripe)
    stripe.control("faults", {"match": "POST /v1/subscriptions/*", **fault})
    with pytest.raises((Retryable, Misconfigured)):
        subscriptions.cancel(brand=brand, actor=owner)
    attempts(operations.MOST_ATTEMPTS + 5)
    return operation("subscription.update")


@pytest.mark.parametrize("fault", [AWAY, REFUSED])
def test_a_promised_cancellation_outlives_every_outage(
    fault: dict[str, Any], client_for: Any, brand: Any, owner: Any, stripe: Stripe
) -> None:
    client = client_for(owner)
    waiting = cancel_in(fault, client, brand, owner, stripe)
    assert waiting.state == "pending"
    longest = timezone.now() + timedelta(seconds=operations.LONGEST_WAIT)
    assert waiting.next_attempt_at <= longest
    assert "on its way" in client.get(f"/b/{brand.slug}/billing/").content.decode()
    stripe.control("faults", method="DELETE")
    attempts(1)
    assert [one["cancel_at_period_end"] for one in stripe.objects("subscriptions")] == [True]


def test_it_outlives_the_key_that_it_was_sent_with(
    client_for: Any, brand: Any, owner: Any, stripe: Stripe
) -> None:
    waiting = cancel_in(AWAY, client_for(owner), brand, owner, stripe)
    stripe.control("faults", method="DELETE")
    with scope(brand):
        age = timezone.now() - operations.KEY_LIFE - timedelta(days=2)
        rows = StripeOperation.objects.filter(pk=waiting.pk)
        rows.update(created_at=age, keyed_at=age, attempts=5000)
    attempts(1)
    ended = operation("subscription.update")
    assert (ended.state, ended.generation) == ("done", waiting.generation + 1)
    assert [one["cancel_at_period_end"] for one in stripe.objects("subscriptions")] == [True]


def test_thousands_of_attempts_wait_no_longer(
    client_for: Any, brand: Any, owner: Any, stripe: Stripe
) -> None:
    cancel_in(AWAY, client_for(owner), brand, owner, stripe)
    with scope(brand):
        StripeOperation.objects.filter(kind="subscription.update").update(attempts=5000)
    attempts(1)
    assert operation("subscription.update").state == "pending"


def test_one_that_waits_for_a_person_is_on_its_way_and_can_be_taken_back(
    client_for: Any, brand: Any, owner: Any, stripe: Stripe
) -> None:
    client = client_for(owner)
    cancel_in(AWAY, client, brand, owner, stripe)
    stripe.control("faults", method="DELETE")
    with scope(brand):
        StripeOperation.objects.filter(kind="subscription.update").update(state="stuck")
    assert "on its way" in client.get(f"/b/{brand.slug}/billing/").content.decode()
    subscriptions.resume(brand=brand, actor=owner)
    with scope(brand):
        row = Subscription.objects.get()
        assert (subscriptions.wish(row), subscriptions.ends(row)) == (None, False)
        states = StripeOperation.objects.filter(kind="subscription.update").order_by("created_at")
        assert list(states.values_list("state", flat=True)) == ["failed", "done"]


def test_a_refused_trial_ends_after_the_outage(brand: Any, owner: Any, stripe: Stripe) -> None:
    begin_trial(brand, owner, stripe)
    stripe.pay(open_trial(make_brand(), make_user()))  # by the same card
    stripe.control("faults", {"match": "DELETE *", **AWAY})
    stripe.deliver()
    attempts(operations.MOST_ATTEMPTS + 5)
    assert statuses(stripe) == ["trialing", "trialing"]
    stripe.control("faults", method="DELETE")
    attempts(1)
    assert (statuses(stripe), charged(stripe)) == (["canceled", "trialing"], [])


def test_what_does_not_pass_is_given_up(
    monkeypatch: pytest.MonkeyPatch, client_for: Any, brand: Any, owner: Any, stripe: Stripe
) -> None:
    def surprised(_: StripeOperation) -> Any:
        raise Misconfigured("Stripe has no active meter")

    subscribe(client_for(owner), brand, stripe)
    monkeypatch.setattr(operations, "_send", surprised)
    with pytest.raises(Misconfigured):
        subscriptions.cancel(brand=brand, actor=owner)
    attempts(operations.MOST_ATTEMPTS + 1)
    given_up = operation("subscription.update")
    assert (given_up.state, given_up.attempts) == ("stuck", operations.MOST_ATTEMPTS)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_parks_no_event(
    status: int, client_for: Any, brand: Any, owner: Any, stripe: Stripe
) -> None:
    stripe.pay(choose(client_for(owner), brand))
    stripe.control("faults", {"match": "GET *", "kind": "status", "status": status})
    stripe.deliver()
    events = StripeInbox.objects.exclude(state__in=("done", "ignored"))
    for _ in range(inbox.MOST_ATTEMPTS + 2):
        events.update(next_attempt_at=timezone.now())
        inbox.drain()
    assert set(events.values_list("state", flat=True)) == {"pending"}
    assert all(
        "STRIPE_SECRET_KEY" in words for words in events.values_list("last_error", flat=True)
    )
    stripe.control("faults", method="DELETE")
    events.update(next_attempt_at=timezone.now())
    inbox.drain()
    assert not events.exists()
    with scope(brand):
        assert Subscription.objects.get().status == "active"
