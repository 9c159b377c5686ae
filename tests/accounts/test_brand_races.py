"""Brands made and erased at the same moment, on real commits."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from auditlog.models import LogEntry

from accounts import brands, privacy
from accounts.models import Brand
from saas.tenancy import everyone, scope
from tests.accounts.helpers import at_once
from tests.factories import make_brand, make_user

pytestmark = pytest.mark.usefixtures("live_db")


def test_brands_of_one_name_at_once_get_addresses_of_their_own() -> None:
    people = [make_user() for _ in range(4)]
    made = at_once(*(lambda p=p: brands.create(name="Twin", owner=p).slug for p in people))
    assert "twin" in made
    assert len(set(made)) == 4
    assert all(str(slug).startswith("twin") for slug in made)


def test_two_workers_who_erase_at_once_both_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    brand = make_brand(owner=make_user())
    with scope(brand):
        privacy.request_erasure(brand, actor=make_user())
    both = threading.Barrier(2)

    def meet(reason: str) -> Any:
        both.wait(10)  # each found the brand, and is about to delete its row
        return everyone(reason)

    monkeypatch.setattr(privacy, "everyone", meet)
    assert at_once(*[lambda: privacy.erase(brand.pk)] * 2) == [True, True]
    with everyone("test"):
        assert not Brand.objects.filter(pk=brand.pk).exists()
    assert LogEntry.objects.filter(additional_data__event="brand.erased").count() == 1
