"""One free trial a person, whatever they do with their brands."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from accounts import brands, privacy
from billing import entitlements, standing, trials
from billing.entitlements import Admission
from billing.models import BillingAccount, Trial
from saas.tenancy import everyone, scope
from tests.accounts.helpers import at_once
from tests.factories import make_brand, make_user

Login = Callable[[Any], Client]


def standings() -> list[tuple[str, bool]]:
    with everyone("test"):
        return sorted(BillingAccount.objects.values_list("standing", "had_trial"))


@pytest.mark.django_db
def test_a_further_brand_starts_without_one_and_admits_nothing(brand: Any, owner: Any) -> None:
    further = make_brand(owner=owner)
    with scope(further):
        rights = entitlements.of(further.pk)
        assert (rights.refusal, rights.plan_name) == ("trial_expired", "No plan yet")
        assert (rights.devices, rights.connections, rights.trial_ends_at) == (0, 0, None)
        assert rights.needs_first_plan
        assert entitlements.admit_leads(further.pk, 5) == Admission(0, "trial_expired")
    with scope(brand):
        assert entitlements.of(brand.pk).live
    assert standings() == [("downgraded", False), ("trialing", True)]


@pytest.mark.django_db
def test_neither_settling_nor_the_sweep_gives_one_back(brand: Any, owner: Any) -> None:
    further = make_brand(owner=owner)
    with scope(further):
        account = standing.locked(further.pk)
        standing.settle(account, now=account.trial_ends_at)
    assert standing.sweep() == 0
    assert standings() == [("downgraded", False), ("trialing", True)]


@pytest.mark.django_db
def test_another_persons_first_brand_has_one(brand: Any) -> None:
    with scope(make_brand()):
        assert BillingAccount.objects.get().standing == "trialing"


@pytest.mark.django_db
def test_deleting_the_brand_brings_no_second_one(brand: Any, owner: Any) -> None:
    with scope(brand):
        privacy.request_erasure(brand, actor=owner)
    privacy.erase(brand.pk)
    make_brand(owner=owner)
    assert standings() == [("downgraded", False)]


@pytest.mark.django_db
def test_the_database_holds_it(brand: Any, owner: Any) -> None:
    with pytest.raises(IntegrityError, match="billing_trial_pkey"), transaction.atomic():
        Trial(user=owner).save(force_insert=True)


@pytest.mark.django_db
def test_the_pages_say_so_and_lead_to_the_plans(brand: Any, owner: Any, client_for: Login) -> None:
    client = client_for(owner)
    page = client.get("/brands/new/").content.decode()
    assert "Your free trial is used" in page
    assert 'href="/pricing/"' in page
    form = {"name": "Second", "request_key": uuid4()}
    assert client.post("/brands/new/", form).url == "/b/second/"
    page = client.get("/b/second/").content.decode()
    assert "This brand has no plan yet, and your free trial went to another brand." in page
    assert 'href="/b/second/billing/subscribe/"' in page
    assert "Needs a plan" in page
    for path in ("/b/second/", "/b/second/billing/"):
        assert "rial over" not in client.get(path).content.decode()
    newcomer = client_for(make_user()).get("/brands/new/").content.decode()
    assert "it starts on your free trial, without a card" in newcomer


def test_brands_at_once_get_one_trial(live_db: Any) -> None:
    owner = make_user()
    at_once(*(lambda n=n: brands.create(name=f"Brand {n}", owner=owner) for n in range(4)))
    assert standings() == [("downgraded", False)] * 3 + [("trialing", True)]


def test_the_trials_row_decides_even_past_the_lock_of_the_person(live_db: Any) -> None:
    """Two transactions that both saw no trial: the second waits for the first, and has none."""
    owner = make_user()
    both_asked = threading.Barrier(2)

    def make(name: str) -> None:
        with everyone("test"):
            assert trials.is_open(owner)
            both_asked.wait(10)
            brand = brands._insert(name=name, email=owner.email, request_key=None)
            trials.start(brand, owner)

    assert at_once(lambda: make("One"), lambda: make("Two")) == [None, None]
    assert standings() == [("downgraded", False), ("trialing", True)]


@pytest.mark.django_db
def test_who_had_a_trial_before_the_rows_is_found_in_the_journal(brand: Any, owner: Any) -> None:
    Trial.objects.all().delete()
    migration = importlib.import_module("billing.migrations.0004_trials_of_before")
    with connection.cursor() as cursor:
        cursor.execute(migration.TRIALS)
        cursor.execute(migration.TRIALS)
    assert [row.user_id for row in Trial.objects.all()] == [owner.pk]
