"""Whose limit and whose breaker it is: one SmartLead account, whichever brand and key calls."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from billing.models import BillingAccount
from leads import connections
from leads.models import Connection
from leads.smartlead import gate
from leads.smartlead.gate import MANY, Gate
from saas.breaker import FAILURES
from saas.errors import Refused
from saas.ratelimit import Limit, Wait
from saas.tenancy import scope
from tests.factories import make_brand, make_user
from tests.leads.conftest import Account

Make = Callable[[str], Account]
CEILING = "SMARTLEAD_CALLS_PER_SECOND"


@pytest.fixture
def pair(account: Make, owner: Any, sandbox: Any) -> tuple[Account, Account]:
    """Two brands of one person, each with a key of its own, two calls a minute."""
    first = account("sl_pair1_10_1_r0")
    paying = make_brand(owner=owner)
    with scope(paying):
        BillingAccount.objects.update(plan="leads_growth", standing="active")
    second = Account(paying, owner, sandbox, "sl_pair2_10_1_r0")
    for each in (first, second):
        each.limits(2, 2)
    return first, second


def enter(a: Account) -> Any:
    with scope(a.brand):
        return gate.of(Connection.objects.get()).enter()


def test_accounts_that_are_said_to_be_one_share_one_window(
    pair: tuple[Account, Account],
) -> None:
    first, second = pair
    connections.share_limit(brand_id=second.brand.pk, other_id=first.brand.pk, actor=second.owner)
    assert [type(enter(a)).__name__ for a in (first, second, second, first)] == [
        "Pass",
        "Wait",
        "Wait",
        "Wait",
    ]  # fmt: skip - the first one's key was checked a moment ago, with a call


def test_apart_again_each_has_its_own(pair: tuple[Account, Account]) -> None:
    first, second = pair
    for other in (first.brand.pk, None):
        connections.share_limit(brand_id=second.brand.pk, other_id=other, actor=second.owner)
    assert not isinstance(enter(first), Wait)
    assert not isinstance(enter(second), Wait)


def test_only_ones_own_connected_brands_can_be_shared_with(
    pair: tuple[Account, Account], sandbox: Any
) -> None:
    stranger = make_user()
    foreign = Account(make_brand(owner=stranger), stranger, sandbox, "sl_foreign_10_1_r0")
    bare = make_brand(owner=pair[0].owner)
    for other in (foreign.brand.pk, bare.pk, 987_654_321):
        with pytest.raises(Refused, match="no_such_brand"):
            connections.share_limit(brand_id=pair[0].brand.pk, other_id=other, actor=pair[0].owner)


def test_it_is_said_on_the_page(
    pair: tuple[Account, Account], client_for: Callable[[Any], Client]
) -> None:
    first, second = pair
    web = client_for(second.owner)
    page = f"/b/{second.brand.slug}/connection/"
    assert first.brand.name in web.get(page).content.decode()
    web.post(
        f"{page}limits/",
        {"calls_per_minute": 2, "in_flight": 2, "shares_with": first.brand.pk},
    )
    [neighbour] = connections.neighbours(second.owner, of=second.brand.pk)
    assert (neighbour.name, neighbour.shares) == (first.brand.name, True)
    assert f'<option value="{first.brand.pk}" selected>' in web.get(page).content.decode()


def test_one_brands_faults_stop_nobody_else(brand: Any) -> None:
    faulty, healthy = Gate(1, Limit(50)), Gate(2, Limit(50))
    for _ in range(FAILURES * 4):
        faulty.faulty()
    assert isinstance(faulty.enter(), Wait)
    assert not isinstance(healthy.enter(), Wait)


def test_faults_of_many_accounts_stop_all(brand: Any) -> None:
    for number in range(FAILURES):
        Gate(number % MANY, Limit(50)).faulty()
    answer = Gate(99, Limit(50)).enter()
    assert isinstance(answer, Wait)
    assert answer.reason == "breaker"


def test_a_new_key_waits_for_nothing_of_the_old_one(account: Make) -> None:
    a = account("sl_oldkey_10_1_r0")
    with scope(a.brand):
        gate.of(Connection.objects.get()).pushed_back(300)
    assert isinstance(enter(a), Wait)
    connections.connect(brand_id=a.brand.pk, api_key="sl_newkey_10_1_r0", actor=a.owner)
    assert not isinstance(enter(a), Wait)


def test_a_key_of_two_brands_is_one_account(account: Make, sandbox: Any) -> None:
    a = account("sl_twice_10_1_r0")
    stranger = make_user()
    b = Account(make_brand(owner=stranger), stranger, sandbox, "sl_twice_10_1_r0")
    with scope(a.brand):
        gate.of(Connection.objects.get()).pushed_back(300)
    assert isinstance(enter(b), Wait)


def gates(count: int) -> list[Gate]:
    """Accounts that have called nothing yet, each with room for many calls."""
    return [Gate(n, Limit(1000, 60.0, 20), account=f"ceiling{uuid.uuid4()}") for n in range(count)]


@pytest.mark.parametrize(("calls", "granted"), [(3, 3), (0, 8)])
def test_all_brands_together_stay_below_the_ceiling_if_there_is_one(
    settings: Any, calls: int, granted: int
) -> None:
    settings.SMARTLEAD_CALLS_PER_SECOND = calls
    answers = [each.enter() for each in gates(8)]
    assert [isinstance(answer, Wait) for answer in answers] == [n >= granted for n in range(8)]


@pytest.mark.parametrize(("said", "calls"), [(None, 100), ("7", 7), ("0", 0), ("", 0)])
def test_the_ceiling_comes_from_the_environment(said: str | None, calls: int) -> None:
    env = {name: value for name, value in os.environ.items() if name != CEILING}
    env |= {} if said is None else {CEILING: said}
    code = "from saas import settings; print(settings.SMARTLEAD_CALLS_PER_SECOND)"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert int(done.stdout) == calls
