"""Brands made and erased at the same moment, on real commits."""

from __future__ import annotations

import re
import threading
from typing import Any
from uuid import uuid4

import pytest
from auditlog.models import LogEntry
from django.test import Client

from accounts import brands, privacy
from accounts.models import Brand
from saas.errors import Refused
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


def test_a_double_submit_leads_to_the_one_brand(live_db: Any) -> None:
    owner = make_user()
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get("/brands/new/").content.decode()
    found = re.search(r'name="request_key" value="([0-9a-f-]{36})"', page)
    assert found
    form = {"name": "Engines", "request_key": found[1]}

    def submit() -> str:
        twin = Client()
        twin.cookies = client.cookies
        return str(twin.post("/brands/new/", form).url)

    assert at_once(*[submit] * 4) == ["/b/engines/"] * 4
    assert [place.slug for place in brands.places(owner)] == ["engines"]


def test_another_persons_key_makes_a_brand_of_ones_own() -> None:
    key, ada, eve = uuid4(), make_user(), make_user()
    first = brands.create(name="Engines", owner=ada, request_key=key)
    second = brands.create(name="Engines", owner=eve, request_key=key)
    assert first.pk != second.pk
    assert [place.slug for place in brands.places(eve)] == [second.slug]


def test_a_form_of_a_brand_that_is_being_deleted_says_so() -> None:
    key, ada = uuid4(), make_user()
    brand = brands.create(name="Engines", owner=ada, request_key=key)
    with scope(brand):
        privacy.request_erasure(brand, actor=ada)
    with pytest.raises(Refused, match="brand_closed"):
        brands.create(name="Engines", owner=ada, request_key=key)
