"""From a reply at SmartLead to the lead's page, with every process of the system running."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from leads.hooks import address, inbox
from leads.models import Connection, Delivery, Hook, Lead, Message
from saas.embedded.processes import wait_until
from saas.tenancy import everyone, scope
from tests.factories import make_brand, make_user
from tests.fixtures.processes import Process, Sandbox
from tests.leads.conftest import Account

pytestmark = pytest.mark.slow
KEY = "sl_scene_60_2_r0"


@pytest.fixture
def account(live_db: Any, sandbox: Sandbox) -> Account:
    owner = make_user()
    a = Account(make_brand(owner=owner), owner, sandbox, KEY)
    a.start()
    a.drive()
    address.turn_on(brand_id=a.brand.pk, actor=owner)
    return a


def touch(account: Account, **fields: Any) -> dict[str, Any]:
    done = account.sandbox.control("smartlead", "touch", {"key": KEY, "what": "reply", **fields})
    found: dict[str, Any] = done["touched"][0]
    return found


def texts(account: Account, touched: dict[str, Any]) -> list[str]:
    with scope(account.brand):
        lead = Lead.objects.get(email=touched["email"])
        return list(Message.objects.filter(lead_id=lead.id).values_list("body", flat=True))


def waiting(account: Account) -> int:
    with scope(account.brand):
        return int(Delivery.objects.filter(state="pending").count())


def test_a_reply_is_seen_within_seconds_and_a_lost_one_with_the_next_sync(
    account: Account, web: str, worker: Callable[[], Process], beat: Callable[[], Process]
) -> None:
    worker()
    address.manage(brand_id=account.brand.pk, actor=account.owner)
    with scope(account.brand):
        hook = Hook.objects.get()
    assert wait_until(
        lambda: account.sandbox.control("smartlead", "webhooks")["webhooks"][1:] != [], 30
    )
    assert address.url_of(hook).startswith(web)

    began = time.monotonic()
    told = touch(account, text="<p>In seconds</p>", category=1, times=2, seed=1)
    assert wait_until(lambda: "<p>In seconds</p>" in texts(account, told), 20)
    assert time.monotonic() - began < 10
    assert wait_until(lambda: waiting(account) == 0, 20)
    assert texts(account, told).count("<p>In seconds</p>") == 1
    deliveries = account.sandbox.control("smartlead", "deliveries")["deliveries"]
    assert {each["status"] for each in deliveries} == {200}
    with scope(account.brand):
        assert Delivery.objects.count() == 2
        assert Lead.objects.get(email=told["email"]).category == 1

    lost = touch(account, text="<p>Lost on its way</p>", times=0, seed=2)
    with scope(account.brand):
        Connection.objects.update(sync_due_at=timezone.now())
    beat()
    assert wait_until(lambda: "<p>Lost on its way</p>" in texts(account, lost), 120)


def test_workers_killed_in_the_middle_leave_each_event_once(
    account: Account, web: str, worker: Callable[[], Process]
) -> None:
    with scope(account.brand):
        url = address.url_of(Hook.objects.get())
    account.sandbox.control("smartlead", "webhooks", {"key": KEY, "url": url})
    before = account.count()[2]
    victim = worker()
    touched = account.sandbox.control(
        "smartlead", "touch", {"key": KEY, "count": 20, "seed": 3, "times": 2}
    )["touched"]
    for _ in range(3):
        time.sleep(0.4)
        victim.kill()
        victim = worker()
        with everyone("chaos"):  # the dead worker's lease runs out: nobody waits for it
            Delivery.objects.update(lease_until=None)
        inbox.sweep()

    def ended() -> bool:
        inbox.sweep()
        with scope(account.brand):
            rows = Delivery.objects.values_list("state", flat=True)
            return len(rows) == len(touched) and set(rows) == {"done"}

    assert wait_until(ended, 60)
    with scope(account.brand):
        keys = Message.objects.values_list("lead_id", "campaign_id", "key")
        assert len(keys) == len(set(keys))
        replied = Lead.objects.filter(replied=True, email__in=[t["email"] for t in touched])
        assert replied.count() == len({t["email"] for t in touched})
    assert len(touched) <= account.count()[2] - before <= 2 * len(touched)
