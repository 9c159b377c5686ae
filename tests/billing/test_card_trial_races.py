"""Two trials at the same moment, in two processes: the database lets one through."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import call_command

from billing import card_trials, projection
from saas.tenancy import scope
from tests.billing.conftest import Stripe, card, open_null
from tests.billing.trying import charged, granted, open_trial, refusals, settle, statuses
from tests.factories import make_brand, make_user
from tests.fixtures.database import close_connections

FORK = multiprocessing.get_context("fork")
PATIENCE = 60.0  # seconds
RULES = ("person_id_key", "of_brand_id_key", "card_key")


@pytest.fixture
def boss(live_db: Any) -> Iterator[psycopg.Connection[Any]]:
    url = os.environ["HARBOR_TEST_SUPERUSER_URL"].rpartition("/")[0] + f"/{live_db.name}"
    with psycopg.connect(url, autocommit=True) as found:
        yield found


@pytest.fixture
def ready(live_db: Any, stripe: Stripe) -> Stripe:
    call_command("sync_catalog", verbosity=0, stdout=open_null())
    return stripe


def _project(stripe_id: str, together: Any) -> None:
    """Project, and be at the claim at the same moment as the other process."""
    claim = card_trials._claim

    def claim_together(*about: Any) -> Any:
        together.wait()
        return claim(*about)

    card_trials._claim = claim_together
    projection.subscription(stripe_id)
    close_connections()


def project_at_once(stripe: Stripe) -> None:
    together = FORK.Barrier(2, timeout=PATIENCE)
    ids = [one["id"] for one in stripe.objects("subscriptions")]
    close_connections()
    processes = [FORK.Process(target=_project, args=(one, together)) for one in ids]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0, 0]


def lift_the_rule(boss: psycopg.Connection[Any]) -> None:
    for rule in RULES:
        boss.execute(f"ALTER TABLE billing_cardtrial DROP CONSTRAINT billing_cardtrial_{rule}")


def two_brands_of_a_person() -> list[tuple[Any, Any, str]]:
    owner = make_user()
    return [(make_brand(owner=owner), owner, card(number)) for number in (1, 2)]


def one_card_in_two_brands() -> list[tuple[Any, Any, str]]:
    owners = [make_user(), make_user()]
    return [(make_brand(owner=owner), owner, card(3)) for owner in owners]


@pytest.mark.parametrize("customers", [two_brands_of_a_person, one_card_in_two_brands])
@pytest.mark.parametrize("held", [False, True])
def test_two_at_once_end_with_one_trial(
    ready: Stripe, boss: psycopg.Connection[Any], customers: Any, held: bool
) -> None:
    """Without the constraints both have one: so it is they that decide."""
    both = customers()
    for brand, owner, number in both:
        assert ready.pay(open_trial(brand, owner), card=number).status_code == 303
    if not held:
        lift_the_rule(boss)
    project_at_once(ready)
    brands = [brand for brand, _, _ in both]
    word = "person" if customers is two_brands_of_a_person else "card"
    assert refusals(*brands) == (["", word] if held else ["", ""])
    assert granted() == (1 if held else 2)
    if held:
        settle(ready)
        assert statuses(ready) == ["canceled", "trialing"]
        assert charged(ready) == []
        for brand in brands:
            with scope(brand):
                assert refusals(brand) in ([""], [word])
