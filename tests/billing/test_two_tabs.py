"""Two tabs, two plans, one moment: nobody is led to another plan's price."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from billing import checkout, gateway
from billing.models import Checkout, StripeOperation
from saas.errors import Refused
from saas.tenancy import scope
from tests.billing.conftest import Stripe, open_null
from tests.factories import make_brand, make_user

Click = tuple[str, str]
PRICES = {
    ("leads_growth", "usd"): 14_900,
    ("leads_scale", "usd"): 49_900,
    ("leads_growth", "eur"): 13_900,
}


@pytest.fixture
def ready(live_db: Any, stripe: Stripe) -> Any:
    call_command("sync_catalog", verbosity=0, stdout=open_null())
    owner = make_user()
    brand = make_brand(owner=owner)
    brand.owner_for_test = owner
    return brand


def click_at_once(brand: Any, clicks: list[Click]) -> dict[Click, str | Refused]:
    together = threading.Barrier(len(clicks))
    answers: dict[Click, str | Refused] = {}

    def click(plan: str, currency: str) -> None:
        together.wait()
        try:
            answers[plan, currency] = checkout.start(
                brand=brand, actor=brand.owner_for_test, plan=plan, currency=currency
            )
        except Refused as e:
            answers[plan, currency] = e
        finally:
            connection.close()

    threads = [threading.Thread(target=click, args=one) for one in clicks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def sold(stripe: Stripe) -> dict[str, tuple[str, int]]:
    """Every session at Stripe: its operation, its status and the price on its page."""
    return {
        found["metadata"]["operation"]: (found["status"], found["amount_subtotal"])
        for found in stripe.objects("checkout/sessions")
    }


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 0)])
def test_each_tab_gets_its_own_plan(
    ready: Any, stripe: Stripe, monkeypatch: pytest.MonkeyPatch, pair: tuple[int, int]
) -> None:
    """Both have seen that nothing is open before either writes: the moment that the lock is for."""
    clicks = [list(PRICES)[n] for n in pair]
    looked, looking = threading.Barrier(2), checkout._open
    seen = threading.local()

    def look(brand_id: int) -> Checkout | None:
        found = looking(brand_id)
        if not hasattr(seen, "once"):
            seen.once = looked.wait(20)
        return found

    monkeypatch.setattr(checkout, "_open", look)
    answers = click_at_once(ready, clicks)
    sessions = sold(stripe)
    with scope(ready):
        made = {
            operation.result["url"]: str(operation.pk)
            for operation in StripeOperation.objects.filter(kind="checkout.create")
        }
    for asked in clicks:
        url = answers[asked]
        assert isinstance(url, str)
        assert sessions[made[url]][1] == PRICES[asked]
    assert sorted(status for status, _ in sessions.values()) == ["expired", "open"]
    with scope(ready):
        assert sorted(Checkout.objects.values_list("state", flat=True)) == ["expired", "open"]


def test_clicks_that_keep_coming_end_in_words(
    ready: Any, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other tab opens its plan again after each closing: that ends, and charges no one."""
    growth, scale = ("leads_growth", "usd"), ("leads_scale", "usd")
    settle = checkout._settle
    customer = checkout.customers.ensure(ready.pk)
    offer = checkout.Offer(checkout.catalog.plan(growth[0]))
    items = checkout.line_items(offer)

    def other_tab() -> None:
        with scope(ready):
            made = checkout._begin(ready, offer, customer, items)
        checkout.operations.run(made.operation)

    def settle_then_lose(open_one: Checkout, keep: checkout.Offer) -> None:
        settle(open_one, keep=keep)
        other_tab()

    other_tab()
    monkeypatch.setattr(checkout, "_settle", settle_then_lose)
    with pytest.raises(Refused, match="Another plan was chosen in the same moment"):
        checkout.start(brand=ready, actor=ready.owner_for_test, plan=scale[0], currency="usd")
    statuses = [s["status"] for s in gateway.each("/v1/checkout/sessions")]
    assert statuses == ["open"] + ["expired"] * checkout.MOST_TURNS
