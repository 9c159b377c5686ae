"""Taking a brand's data along, and having it erased."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client

from accounts import brands, privacy
from accounts.models import Brand, Membership
from accounts.roles import Role
from saas.errors import Refused
from saas.tenancy import everyone, scope
from tests.factories import make_brand, make_user

pytestmark = pytest.mark.django_db
Login = Callable[[Any], Client]


def exists(brand: Any) -> bool:
    with everyone("test"):
        return Brand.objects.filter(pk=brand.pk).exists()


def test_the_export_holds_the_brands_data_and_nobody_elses(
    client_for: Login, brand: Any, owner: Any
) -> None:
    make_brand(name="Rival", owner=make_user(email="rival@example.test"))
    answer = client_for(owner).get(f"/b/{brand.slug}/settings/export/")
    assert answer["Content-Type"] == "application/zip"
    assert answer.streaming
    packed = b"".join(answer.streaming_content)
    archive = zipfile.ZipFile(io.BytesIO(packed))
    assert archive.testzip() is None
    [about] = archive.read("brand.jsonl").splitlines()
    assert json.loads(about)["name"] == brand.name
    [member] = archive.read("team.jsonl").splitlines()
    assert json.loads(member)["user__email"] == owner.email
    everything = b"".join(archive.read(name) for name in archive.namelist())
    assert b"rival" not in everything.lower()
    assert LogEntry.objects.filter(additional_data__event="brand.exported", actor=owner).exists()


def test_pages_read_every_row_once(brand: Any) -> None:
    with scope(brand):
        for number in range(7):
            Membership.objects.create(user=make_user(name=f"P{number}"), role=Role.VIEWER)
    found = list(privacy.pages(brand.pk, Membership.objects.all, "user__name", page=3))
    assert len(found) == 8
    assert len({row["user__name"] for row in found}) == 8


def test_a_deleted_brand_is_closed_at_once_and_erased_by_the_task(
    client_for: Login, brand: Any, owner: Any
) -> None:
    client = client_for(owner)
    wrong = client.post(f"/b/{brand.slug}/settings/delete/", {"name": "something"})
    assert wrong.status_code == 422
    assert "This is not the name" in wrong.content.decode()
    assert client.get(f"/b/{brand.slug}/").status_code == 200

    assert client.post(f"/b/{brand.slug}/settings/delete/", {"name": brand.name}).url == "/home/"
    assert client.get(f"/b/{brand.slug}/").status_code == 404
    assert brands.places(owner) == []
    assert exists(brand)

    assert privacy.erase(brand.pk) is True
    assert not exists(brand)
    assert privacy.erase(brand.pk) is True  # twice is once
    events = LogEntry.objects.values_list("additional_data__event", flat=True)
    assert {"brand.erasure_requested", "brand.erased"} <= set(events)


def test_a_brand_that_nobody_asked_to_erase_stays(brand: Any) -> None:
    privacy.erase(brand.pk)
    assert exists(brand)


def test_a_guard_may_refuse(
    brand: Any, owner: Any, client_for: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    def still_paying(*_: Any) -> None:
        raise Refused("subscription_runs", "Cancel your subscription first.")

    monkeypatch.setattr(privacy, "_guards", [still_paying])
    client = client_for(owner)
    answer = client.post(f"/b/{brand.slug}/settings/delete/", {"name": brand.name}, follow=True)
    assert "Cancel your subscription first." in answer.content.decode()
    assert client.get(f"/b/{brand.slug}/").status_code == 200


def test_the_sweep_wakes_erasures_that_stopped(
    brand: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[int] = []
    with scope(brand):
        privacy.request_erasure(brand, actor=owner)
    monkeypatch.setattr(privacy, "wake", lambda _, brand_id: woken.append(brand_id))
    assert privacy.sweep() == 1
    assert woken == [brand.pk]


def test_only_owners_delete(client_for: Login, brand: Any) -> None:
    admin = make_user()
    with scope(brand):
        Membership.objects.create(user=admin, role=Role.ADMIN)
    client = client_for(admin)
    assert "Delete this brand" not in client.get(f"/b/{brand.slug}/settings/").content.decode()
    answer = client.post(f"/b/{brand.slug}/settings/delete/", {"name": brand.name})
    assert answer.status_code == 403


def test_a_person_gets_what_we_hold_about_them_and_no_secret(
    client_for: Login, brand: Any, owner: Any
) -> None:
    client = client_for(owner)
    held = client.get("/accounts/profile/export/").json()
    assert held["email"] == owner.email
    assert held["brands"][0]["slug"] == brand.slug
    assert client.session.session_key not in json.dumps(held)
