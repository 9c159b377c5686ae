"""Whatever the moment of death, Stripe has exactly one effect of each operation.

Generated over all registered kinds, all points of an attempt, and all points of the recovery that
follows: the effect (every event and every object that Stripe gained) must equal that of a run
without any death.
"""

from __future__ import annotations

import itertools
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing import (
    catalog,
    change_intents,
    changes,
    checkout,
    customers,
    gateway,
    operations,
    pending,
    projection,
    promotions,
    schedules,
    standing,
    subscriptions,
    usage,
)
from billing.models import BillingAccount, PromotionCode, StripeOperation, Subscription
from saas.errors import Refused
from saas.tenancy import everyone, scope
from tests.billing.conftest import Stripe, recover
from tests.billing.dying import POINTS, dies, serving
from tests.factories import make_brand

pytestmark = [pytest.mark.slow, pytest.mark.chaos]
_numbers = itertools.count(1)


@pytest.fixture
def ready(live_db: Any, stripe: Stripe) -> Stripe:
    call_command("sync_catalog", stdout=StringIO())
    operations.run(begin_portal(stripe))  # the first one makes Stripe's default configuration
    return stripe


@pytest.fixture(scope="module")
def dying() -> Iterator[subprocess.Popen[str]]:
    """The process whose forks die: one for all tests, since it takes seconds to start."""
    with serving("tests.billing.dying") as helper:
        yield helper


@pytest.fixture
def deaths(live_db: Any, dying: subprocess.Popen[str]) -> Callable[[StripeOperation, str], None]:
    """Make an attempt in another process that dies at the point."""

    def attempt(operation: StripeOperation, point: str) -> None:
        died = dies(dying, database=live_db.name, operation=str(operation.pk), point=point)
        sends_nothing = point == "after the send" and operation.attempts > 0
        assert died or sends_nothing  # it found the effect instead

    return attempt


# --- how an operation of each kind comes about -------------------------------------------------


def new_brand() -> Any:
    from tests.factories import make_user

    owner = make_user()
    brand = make_brand(owner=owner)
    brand.owner_for_test = owner
    return brand


def begin_customer(_: Stripe) -> StripeOperation:
    brand = new_brand()
    with scope(brand):
        params = {"email": brand.email, "name": brand.name, "metadata": {"brand": str(brand.pk)}}
        return operations.begin(customers.CREATE, subject=f"brand {brand.pk}", params=params)


def begin_checkout(stripe: Stripe) -> StripeOperation:
    brand = new_brand()
    customer = customers.ensure(brand.pk)
    offer = catalog.Offer(catalog.plan("leads_starter"))
    items = checkout.line_items(offer)
    with scope(brand):
        standing.locked(brand.pk)
        return checkout._begin(brand, offer, customer, items).operation


def begin_expiry(stripe: Stripe) -> StripeOperation:
    operation = begin_checkout(stripe)
    session = operations.run(operation)["id"]
    with scope(operation.brand_id):
        return operations.begin(checkout.EXPIRE, subject=session, params={"_session": session})


def begin_portal(_: Stripe) -> StripeOperation:
    brand = new_brand()
    customer = customers.ensure(brand.pk)
    params = {"customer": customer, "return_url": "http://127.0.0.1:8000/"}
    with scope(brand):
        return operations.begin(checkout.PORTAL, subject=f"brand {brand.pk}", params=params)


def with_subscription(_: Stripe, plan: str = "leads_starter") -> tuple[Any, Subscription]:
    brand = new_brand()
    customer = customers.ensure(brand.pk)
    key = f"setup {brand.pk} {next(_numbers)}"
    card = gateway.write(
        "post",
        "/v1/payment_methods/pm_card_visa/attach",
        {"customer": customer},
        key=f"{key} card",
    )
    items = checkout.line_items(catalog.Offer(catalog.plan(plan)))
    made = gateway.write(
        "post",
        "/v1/subscriptions",
        {
            "customer": customer,
            "items": items,
            "default_payment_method": card["id"],
        },
        key=f"{key} subscription",
    )
    projection.subscription(made["id"])
    with scope(brand):
        return brand, Subscription.objects.get()


def begin_ending(stripe: Stripe) -> StripeOperation:
    brand, row = with_subscription(stripe)
    params = {"_subscription": row.stripe_id, "cancel_at_period_end": True}
    with scope(brand):
        return operations.begin(
            subscriptions.UPDATE, subject=f"{row.stripe_id} ends", params=params
        )


def begin_cancelling(stripe: Stripe) -> StripeOperation:
    brand, row = with_subscription(stripe)
    with scope(brand):
        return subscriptions.begin_cancel_duplicate(row)


def begin_product(_: Stripe) -> StripeOperation:
    from billing import catalog_sync

    name = f"harbor_test_{next(_numbers)}"
    with everyone("test"):
        return operations.begin(
            catalog_sync.PRODUCT, subject=name, params={"id": name, "name": name}
        )


def begin_renaming(stripe: Stripe) -> StripeOperation:
    from billing import catalog_sync

    made = operations.run(begin_product(stripe))
    params = {"_product": made["id"], "name": f"{made['name']} renamed"}
    with everyone("test"):
        return operations.begin(catalog_sync.RENAME, subject=made["id"], params=params)


def begin_price(_: Stripe) -> StripeOperation:
    from billing import catalog_sync

    key = f"test_month_v{next(_numbers)}"
    params = {
        "product": "harbor_leads_starter",
        "currency": "usd",
        "unit_amount": 100,
        "recurring": {"interval": "month"},
        "lookup_key": key,
    }
    with everyone("test"):
        return operations.begin(catalog_sync.PRICE, subject=key, params=params)


def begin_meter(_: Stripe) -> StripeOperation:
    from billing import catalog_sync

    metered = catalog.Metered(f"test_{next(_numbers)}", "GB", 0, {"usd": 1})
    change = catalog_sync._meter(metered)
    with everyone("test"):
        return operations.begin(change.kind, subject=change.subject, params=change.params)


def begin_usage(stripe: Stripe) -> StripeOperation:
    brand, _ = with_subscription(stripe, "vpn_metered")
    with scope(brand):
        usage.count({brand.pk: 3 * 10**9}, timezone.now())
        batch = usage.gather(brand.pk)
    assert batch is not None
    assert batch.operation is not None
    return batch.operation


def begin_agreed(brand: Any, row: Subscription) -> StripeOperation:
    agreed = promise(brand, "leads_growth")
    before = changes.current(row)
    assert before
    with scope(brand):
        return change_intents.begin(row, before, agreed)


def promise(brand: Any, plan: str) -> dict[str, Any]:
    shown = changes.preview(brand=brand, plan=plan, interval="month", seats=None)
    return changes._agreed(shown.promise)


def begin_change(stripe: Stripe) -> StripeOperation:
    brand, row = with_subscription(stripe)
    return begin_agreed(brand, row)


def begin_asking(stripe: Stripe) -> StripeOperation:
    """A change whose card's bank wants to hear the payer, refused and asked for once more."""
    brand, row = with_subscription(stripe)
    where = "/v1/payment_methods/pm_card_authenticationRequired/attach"
    with scope(brand):
        customer = BillingAccount.objects.get().stripe_customer
    card = gateway.write("post", where, {"customer": customer}, key=f"{row.stripe_id} card")
    chosen = {"default_payment_method": card["id"]}
    key = f"{row.stripe_id} default"
    gateway.write("post", f"/v1/subscriptions/{row.stripe_id}", chosen, key=key)
    change = begin_agreed(brand, row)
    with pytest.raises(Refused):
        operations.run(change)
    with scope(brand):
        return pending.begin(change)


def begin_taking_back(stripe: Stripe) -> StripeOperation:
    asked = begin_asking(stripe)
    subscription = operations.run(asked)["id"]
    projection.subscription(subscription)
    with scope(asked.brand_id):
        return pending.begin_taking_back(Subscription.objects.get())


def begin_schedule(stripe: Stripe) -> StripeOperation:
    brand, row = with_subscription(stripe, "leads_growth")
    agreed = promise(brand, "leads_starter")
    with scope(brand):
        return schedules.begin(row, agreed)


def begin_phases(stripe: Stripe) -> StripeOperation:
    operation = begin_schedule(stripe)
    schedule = operations.run(operation)["id"]
    with scope(operation.brand_id):
        return StripeOperation.objects.get(kind="schedule.update", subject=schedule)


def begin_release(stripe: Stripe) -> StripeOperation:
    phases = begin_phases(stripe)
    schedule = operations.run(phases)["id"]
    with scope(phases.brand_id):
        params = {"_schedule": schedule}
        return operations.begin(schedules.RELEASE, subject=schedule, params=params)


def begin_coupon(_: Stripe) -> StripeOperation:
    code = PromotionCode(code=f"TEST{next(_numbers)}", name="Test", percent_off=10)
    return promotions.create(code, actor=new_brand().owner_for_test)


def begin_code(stripe: Stripe) -> StripeOperation:
    coupon = begin_coupon(stripe)
    operations.run(coupon)
    with everyone("test"):
        return StripeOperation.objects.get(kind="promotion_code.create", subject=coupon.subject)


def begin_switching_off(stripe: Stripe) -> StripeOperation:
    operation = begin_code(stripe)
    operations.run(operation)
    code = PromotionCode.objects.get(code=operation.subject)
    switching = promotions.switch_off(code, actor=new_brand().owner_for_test)
    assert switching is not None
    return switching


BEGIN: dict[str, Callable[[Stripe], StripeOperation]] = {
    "customer.create": begin_customer,
    "checkout.create": begin_checkout,
    "checkout.expire": begin_expiry,
    "portal.create": begin_portal,
    "subscription.update": begin_ending,
    "subscription.cancel_now": begin_cancelling,
    "product.create": begin_product,
    "product.update": begin_renaming,
    "price.create": begin_price,
    "meter.create": begin_meter,
    "meter.event": begin_usage,
    "subscription.change": begin_change,
    "subscription.ask": begin_asking,
    "invoice.void": begin_taking_back,
    "schedule.create": begin_schedule,
    "schedule.update": begin_phases,
    "schedule.release": begin_release,
    "coupon.create": begin_coupon,
    "promotion_code.create": begin_code,
    "promotion_code.update": begin_switching_off,
}


def effect(stripe: Stripe, act: Callable[[], object]) -> Counter[str]:
    """How many objects of each kind, events among them, Stripe gained while `act` ran."""

    def now() -> Counter[str]:
        return Counter(stripe.control("")["objects"])

    before = now()
    act()
    return now() - before


def ended(operation: StripeOperation) -> str:
    with everyone("test"):
        return str(StripeOperation.objects.get(pk=operation.pk).state)


def release(operation: StripeOperation) -> None:
    with everyone("test"):
        StripeOperation.objects.filter(pk=operation.pk).update(lease_until=None)


def test_every_kind_is_here() -> None:
    assert set(BEGIN) == set(operations.kinds())


@pytest.mark.parametrize("kind", sorted(BEGIN))
def test_one_effect_whenever_it_dies(
    kind: str, ready: Stripe, deaths: Callable[[StripeOperation, str], None]
) -> None:
    undisturbed = BEGIN[kind](ready)
    expected = effect(ready, lambda: (operations.run(undisturbed), recover()))
    assert expected
    for first, second in itertools.product(POINTS, (None, "after the send", "before the commit")):
        if second and first == "after it":
            continue  # there is nothing left to recover
        operation = BEGIN[kind](ready)

        def dies(operation: Any = operation, first: str = first, second: Any = second) -> None:
            deaths(operation, first)
            if second:
                release(operation)
                with everyone("test"):
                    operation.refresh_from_db()
                deaths(operation, second)
            recover()

        assert effect(ready, dies) == expected, (first, second)
        assert ended(operation) == "done", (first, second)


@pytest.mark.parametrize("kind", sorted(BEGIN))
@pytest.mark.parametrize("sent", [True, False])
def test_a_key_older_than_stripe_s_memory_is_never_sent_again(
    kind: str, sent: bool, ready: Stripe, deaths: Callable[[StripeOperation, str], None]
) -> None:
    """Two days later: an effect that is there is found, one that isn't is made anew or given up."""
    undisturbed = BEGIN[kind](ready)
    expected = effect(ready, lambda: (operations.run(undisturbed), recover()))
    operation = BEGIN[kind](ready)

    def two_days_pass() -> None:
        deaths(operation, "after the send" if sent else "before the send")
        ready.advance(2)  # Stripe forgets the key
        age = timezone.now() - timedelta(days=2)
        with everyone("test"):
            StripeOperation.objects.filter(pk=operation.pk).update(created_at=age, keyed_at=age)
        recover()

    gained = effect(ready, two_days_pass)
    gives_up = operations.kinds()[kind].give_up_when_stale
    if sent and kind != "portal.create":
        assert ended(operation) == "done"
    elif gives_up:
        assert ended(operation) == "failed"
    expected.pop("event", None)  # two days bring others
    for name, count in expected.items():
        assert gained[name] == count if sent or not gives_up else gained[name] == 0


def test_a_failure_that_stripe_replays_burns_the_key_not_the_wish(ready: Stripe) -> None:
    """Stripe did it, answered 500, and answers 500 to that key for a day."""
    brand = new_brand()
    ready.control(
        "faults",
        {
            "match": "POST /v1/customers",
            "kind": "status",
            "status": 500,
            "when": "after",
            "times": 1,
        },
    )
    with pytest.raises(operations.Retryable):
        customers.ensure(brand.pk)
    recover()
    mine = [c for c in ready.objects("customers") if c["metadata"]["brand"] == str(brand.pk)]
    assert len(mine) == 1
    with scope(brand):
        assert BillingAccount.objects.get().stripe_customer == mine[0]["id"]


def test_two_processes_at_one_operation_send_it_once(ready: Stripe) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    brand = new_brand()

    def ensure(_: int) -> str:
        try:
            return customers.ensure(brand.pk)
        finally:
            connection.close()

    before = ready.writes()
    with ThreadPoolExecutor(6) as pool:
        made = set(pool.map(ensure, range(6)))
    assert len(made) == 1
    assert ready.writes() == before + 1
