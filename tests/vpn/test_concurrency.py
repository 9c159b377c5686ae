"""Many people add devices at once: the plan's limit and the addresses hold exactly.

Each rule's first test shows the fault: the same steps without the lock break it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection

from accounts import brands
from saas.errors import Refused
from saas.tenancy import everyone, scope
from tests.factories import make_brand
from tests.vpn import words
from vpn import addresses, devices
from vpn.models import AddressLease, Device, Server

pytestmark = pytest.mark.slow
THREADS = 8


@pytest.fixture
def server(live_db: Any) -> Any:
    return words.make_server()[0]


def overlap() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.05)")


def then_overlap(step: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any) -> Any:
        result = step(*args)
        overlap()
        return result

    return wrapped


def all_at_once(work: Callable[[int], None]) -> list[str]:
    """Run `work(n)` in THREADS threads that start together; return what became of each."""
    start = threading.Barrier(THREADS)

    def one(number: int) -> str:
        start.wait()
        try:
            work(number)
            return "made"
        except Refused as refusal:
            return refusal.code
        except IntegrityError as e:
            return "vpn_one_live_lease_per_address" if "per_address" in str(e) else str(e)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return sorted(pool.map(one, range(THREADS)))


def add(brand: Any, owner: Any, server: Any, name: str) -> None:
    words.add_device(brand, owner, server, name)


def owner_of(brand: Any) -> Any:
    from accounts.models import Membership

    with scope(brand):
        return Membership.objects.select_related("user").get().user


class TestTheLimit:
    """One brand with room for 2 devices, THREADS colleagues."""

    def run(self, server: Any) -> tuple[list[str], int]:
        brand = make_brand()
        words.put_on_plan(brand, "leads_starter")
        owner = owner_of(brand)
        outcomes = all_at_once(lambda n: add(brand, owner, server, f"device {n}"))
        with scope(brand):
            return outcomes, Device.objects.filter(revoked_at=None).count()

    def test_without_the_lock_too_many_are_made(self, server, monkeypatch):
        monkeypatch.setattr(brands, "lock", lambda _: None)
        check = then_overlap(devices._refuse_over_limit)
        monkeypatch.setattr(devices, "_refuse_over_limit", check)
        _, made = self.run(server)
        assert made > 2

    def test_with_it_exactly_the_limit_is_made(self, server, monkeypatch):
        check = then_overlap(devices._refuse_over_limit)
        monkeypatch.setattr(devices, "_refuse_over_limit", check)
        outcomes, made = self.run(server)
        assert made == 2
        assert outcomes == ["device_limit"] * (THREADS - 2) + ["made"] * 2


class TestTheAddresses:
    """THREADS brands, each adding its device on the same server."""

    def run(self, server: Any) -> tuple[list[str], list[str]]:
        brands = [make_brand() for _ in range(THREADS)]
        owners = [owner_of(brand) for brand in brands]
        outcomes = all_at_once(lambda n: add(brands[n], owners[n], server, "Laptop"))
        with everyone("read the leases"):
            leases = AddressLease.objects.filter(server=server, released_at=None)
            return outcomes, sorted(str(lease.address) for lease in leases)

    def test_without_the_lock_two_choose_the_same_and_the_database_refuses_one(
        self, server, monkeypatch
    ):
        monkeypatch.setattr(addresses, "lock", lambda pk: Server.objects.get(pk=pk))
        choose = then_overlap(addresses._lowest_free)
        monkeypatch.setattr(addresses, "_lowest_free", choose)
        outcomes, leased = self.run(server)
        assert "vpn_one_live_lease_per_address" in outcomes
        assert len(leased) == len(set(leased))

    def test_with_it_each_gets_one_of_its_own(self, server, monkeypatch):
        choose = then_overlap(addresses._lowest_free)
        monkeypatch.setattr(addresses, "_lowest_free", choose)
        outcomes, leased = self.run(server)
        assert outcomes == ["made"] * THREADS
        network = server.network.removesuffix("0/24")
        assert leased == sorted(f"{network}{2 + n}" for n in range(THREADS))


def test_the_same_form_sent_by_many_clicks_makes_one_device(server):
    brand = make_brand()
    words.put_on_plan(brand, "leads_growth")
    owner, key = owner_of(brand), uuid.uuid4()

    def click(_: int) -> None:
        devices.create(
            brand_id=brand.pk,
            owner=owner,
            actor=owner,
            server_id=server.pk,
            name="Laptop",
            request_key=key,
        )

    assert all_at_once(click) == ["already_made"] * (THREADS - 1) + ["made"]


def test_many_clicks_on_replace_leave_the_one_key_that_was_shown(server):
    brand = make_brand()
    words.put_on_plan(brand, "leads_growth")
    owner = owner_of(brand)
    add(brand, owner, server, "Laptop")
    with scope(brand):
        device = Device.objects.get()
    key, shown = words.live_key(device), []

    def click(_: int) -> None:
        fresh = devices.replace_keys(
            device_id=device.pk, brand_id=brand.pk, replaces=key, actor=owner
        )
        shown.append(fresh.pair.public)

    assert all_at_once(click) == ["already_replaced"] * (THREADS - 1) + ["made"]
    with scope(brand):
        assert shown == [device.peers.get(retired_at=None).public_key]


def test_the_same_report_in_many_hands_counts_once(server):
    from vpn import metering, reports

    brand = make_brand()
    owner = owner_of(brand)
    add(brand, owner, server, "Laptop")
    with scope(brand):
        device = Device.objects.get()
        key = device.peers.get().public_key
    told = reports.parse(words.report(words.reading(key, 1000, 2000)))
    all_at_once(lambda _: metering.record(server, told) and None)
    assert words.usage_of(device) == (1000, 2000)
