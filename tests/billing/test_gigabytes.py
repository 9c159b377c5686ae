"""From an agent's report to Stripe's invoice: bytes in, gigabytes billed."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet, Sum
from django.test import Client
from django.utils import timezone

from billing import changes, usage
from billing.models import BillingAccount, Subscription, Usage, UsageBatch
from saas.tenancy import everyone, scope
from tests.billing.conftest import Stripe, pass_days
from tests.billing.dying import dies, serving
from tests.factories import make_brand, make_user
from tests.vpn import words
from tests.vpn.conftest import Node
from tests.vpn.dying import POINTS
from tests.vpn.flight import Flight

GB = 10**9
HOUR = 1 / 24


@pytest.fixture
def fly(metered: Any, owner: Any, tmp_path: Path) -> Flight:
    """The flying node with two devices of a brand that pays by the gigabyte."""
    flight = Flight(Node(*words.make_server(public_key=""), Client()), tmp_path)
    flight.agent.step()
    for name in ("Laptop", "Phone"):
        words.add_device(metered, owner, flight.node.server, name)
    flight.later()
    return flight


def use(fly: Flight, gigabytes: float) -> None:
    """Move bytes over both devices, both ways, and let the agent report."""
    for key in list(fly.driver.peers):
        half = int(gigabytes * GB / 4)
        fly.driver.move(key, received=half, sent=half, at=1)
    fly.later()


@pytest.fixture
def an_hour_later(stripe: Stripe, time_machine: Any) -> Callable[[], None]:
    def pass_and_sweep() -> None:
        pass_days(stripe, time_machine, HOUR)
        usage.sweep()

    return pass_and_sweep


def used_on_invoices(stripe: Stripe) -> list[tuple[int, int]]:
    """(gigabytes, minor units) of every line of usage, the oldest invoice first."""
    [price] = stripe.objects("prices", lookup_keys=["vpn_metered_metered_v1"])
    lines = [line for one in stripe.objects("invoices")[::-1] for line in one["lines"]["data"]]
    return [
        (line["quantity"], line["amount"])
        for line in lines
        if line["pricing"]["price_details"]["price"] == price["id"]
    ]


@pytest.mark.usefixtures("patient")
class TestOnTheInvoice:
    def test_bytes_in_are_gigabytes_billed(
        self, fly: Flight, stripe: Stripe, time_machine: Any, an_hour_later: Any
    ) -> None:
        use(fly, 150)
        fly.answer(fly.sent[-1])  # the same report once more
        use(fly, 40)
        fly.driver.restart()  # the machine: counters begin again, the agent as well
        fly.agent = fly.start()
        fly.agent.step()
        use(fly, 20.5)
        an_hour_later()
        pass_days(stripe, time_machine, 31)
        assert used_on_invoices(stripe) == [(210, 10 * 6)]
        assert stripe.objects("invoices")[0]["total"] == 1_500 + 10 * 6

    def test_the_page_shows_what_waits(self, fly: Flight, metered: Any) -> None:
        use(fly, 203)
        with scope(metered):
            shown = usage.upcoming(metered.pk)
        assert shown is not None
        assert (shown.used, shown.included, shown.cost.minor, shown.late) == (203, 200, 18, False)

    def test_a_period_ends_between_two_reports(
        self, fly: Flight, stripe: Stripe, time_machine: Any, an_hour_later: Any
    ) -> None:
        use(fly, 201)
        an_hour_later()
        pass_days(stripe, time_machine, 31)
        use(fly, 202)
        an_hour_later()
        pass_days(stripe, time_machine, 31)
        assert used_on_invoices(stripe) == [(201, 6), (202, 12)]

    def test_a_period_ends_before_its_last_report_was_sent(
        self, fly: Flight, stripe: Stripe, time_machine: Any, an_hour_later: Any
    ) -> None:
        use(fly, 201)
        pass_days(stripe, time_machine, 31.5)
        an_hour_later()
        pass_days(stripe, time_machine, 31)
        assert used_on_invoices(stripe) == [(0, 0), (201, 6)]  # late, and once

    def test_what_is_used_on_a_flat_plan_in_between_is_never_billed(
        self,
        fly: Flight,
        metered: Any,
        owner: Any,
        stripe: Stripe,
        time_machine: Any,
        an_hour_later: Any,
    ) -> None:
        def change(plan: str, seats: int | None) -> None:
            shown = changes.preview(brand=metered, plan=plan, interval="month", seats=seats)
            pass_days(stripe, time_machine, 3 / 86_400)  # a person reads it
            assert changes.change(brand=metered, promise=shown.promise, actor=owner) == "done"

        use(fly, 205)
        change("vpn_team", 10)
        use(fly, 500)
        an_hour_later()
        with scope(metered):
            assert not Usage.objects.filter(batch=None).exists()
        change("vpn_metered", None)
        use(fly, 210)
        an_hour_later()
        pass_days(stripe, time_machine, 31)
        assert used_on_invoices(stripe) == [(205, 5 * 6), (210, 10 * 6)]


@pytest.fixture
def paying(live_db: Any) -> Any:
    """A brand with a metered subscription, as projected from Stripe."""
    owner = make_user()
    brand = make_brand(owner=owner)
    brand.owner_for_test = owner
    words.put_on_plan(brand, "vpn_metered", stripe_customer="cus_test")
    now = timezone.now()
    with scope(brand):
        Subscription.objects.create(
            stripe_id="sub_test",
            status="active",
            plan="vpn_metered",
            currency="usd",
            amount=1_500,
            current_period_start=now - timedelta(days=1),
            current_period_end=now + timedelta(days=29),
            started_at=now,
            version=1,
        )
        assert BillingAccount.objects.get().stripe_customer
    return brand


def billed(brand: Any) -> int:
    with scope(brand):
        return int(Usage.objects.aggregate(sum=Sum("quantity"))["sum"] or 0)


@pytest.fixture
def dying() -> Iterator[subprocess.Popen[str]]:
    with serving("tests.vpn.dying") as helper:
        yield helper


@pytest.mark.slow
@pytest.mark.chaos
def test_the_bill_equals_the_ledger_wherever_a_report_is_cut(
    live_db: Any, paying: Any, dying: subprocess.Popen[str]
) -> None:
    server, _ = words.make_server()
    fresh = words.add_device(paying, paying.owner_for_test, server)

    def report(received: int, point: str) -> None:
        told = words.report(words.reading(fresh.pair.public, received, 7))
        assert dies(dying, database=live_db.name, server=server.pk, report=told, point=point)

    for round_, point in enumerate(POINTS, start=1):
        report(1_000 * round_, point)
        assert sum(words.usage_of(fresh.device)) == billed(paying)
        report(1_000 * round_, "after it")  # the agent sends it again
        assert sum(words.usage_of(fresh.device)) == billed(paying) == 1_000 * round_ + 7


class TestCountedWhileABatchIsMade:
    """5 GB are counted in a transaction that is open while a batch takes the hour's 10 GB."""

    def run(self, brand: Any) -> tuple[int, int]:
        """The units of the batch, and what waits after it."""
        added, done = threading.Event(), threading.Event()
        with everyone("a test"):
            usage.count({brand.pk: 10 * GB}, timezone.now())

        def add() -> None:
            with everyone("a test"):
                usage.count({brand.pk: 5 * GB}, timezone.now())
                added.set()
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(0.5)")
            connection.close()
            done.set()

        threading.Thread(target=add).start()
        assert added.wait(10)
        with scope(brand):
            batch = usage.gather(brand.pk)
        assert done.wait(10)
        assert batch is not None
        with scope(brand):
            rows = Usage.objects.filter(batch=None)
            return batch.units, int(rows.aggregate(sum=Sum("quantity"))["sum"] or 0)

    def test_without_the_lock_on_the_rows_they_are_lost(
        self, paying: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(QuerySet, "select_for_update", lambda rows, **_: rows)
        assert self.run(paying) == (10, 0)

    def test_with_it_they_are_in_the_batch(self, paying: Any) -> None:
        assert self.run(paying) == (15, 0)

    def test_counted_after_it_they_wait_in_a_row_of_their_own(self, paying: Any) -> None:
        with everyone("a test"):
            usage.count({paying.pk: 10 * GB}, timezone.now())
        counting = threading.Thread(target=self.count_and_close, args=[paying.pk])
        with scope(paying):
            batch = usage.gather(paying.pk)
            counting.start()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(0.5)")
        counting.join()
        assert batch is not None
        with scope(paying):
            assert UsageBatch.objects.get().units == 10
            assert Usage.objects.get(batch=None).quantity == 5 * GB

    def count_and_close(self, brand_id: int) -> None:
        with everyone("a test"):
            usage.count({brand_id: 5 * GB}, timezone.now())
        connection.close()
