"""What a person may do so often and no more: 429, and when to go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client, RequestFactory
from django_ratelimit.exceptions import Ratelimited

from accounts import limits
from accounts.models import Invitation, Mail, User
from accounts.roles import Role
from accounts.team import invite
from billing.models import BillingAccount
from saas.tenancy import scope
from tests.factories import PASSWORD, make_brand, make_user

pytestmark = pytest.mark.django_db
Login = Callable[[Any], Client]


def test_invitations_of_a_person_in_all_their_brands(
    brand: Any, owner: Any, client_for: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_brand(owner=owner)
    client = client_for(owner)
    with scope(brand):
        BillingAccount.objects.update(plan="leads_scale")
        again = invite(email="bob@example.test", role=Role.MEMBER, actor=owner)
    for number in range(25):
        client.post(
            f"/b/{brand.slug}/team/invite/", {"email": f"p{number}@example.test", "role": "viewer"}
        )
        client.post(f"/b/{brand.slug}/team/invitations/{again.pk}/resend/")
    assert Mail.objects.count() == 51
    for url, form in (
        (f"/b/{brand.slug}/team/invitations/{again.pk}/resend/", {}),
        (f"/b/{other.slug}/team/invite/", {"email": "one@example.test", "role": "viewer"}),
    ):
        answer = client.post(url, form)
        assert answer.status_code == 429
        assert 0 < int(answer["Retry-After"]) <= 3600
        assert "Too many tries" in answer.content.decode()
    assert Mail.objects.count() == 51
    with scope(other):
        assert not Invitation.objects.exists()
    assert client_for(make_user()).get("/accounts/profile/").status_code == 200


def test_new_brands(owner: Any, client_for: Login) -> None:
    client = client_for(owner)
    codes = [
        client.post("/brands/new/", {"name": "Many", "request_key": uuid4()}).status_code
        for _ in range(21)
    ]
    assert codes == [302] * 20 + [429]


def test_sign_ups_from_one_address(client: Client) -> None:
    form = {"password1": PASSWORD, "brand_name": "Many"}
    codes = [
        Client().post("/accounts/signup/", form | {"email": f"p{n}@example.test"}).status_code
        for n in range(21)
    ]
    assert codes == [302] * 20 + [429]
    assert User.objects.count() == 20


def test_whatever_django_ratelimit_refuses_is_a_429() -> None:
    answer = limits.forbidden(RequestFactory().get("/"), Ratelimited())
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
