"""Signing up: from an e-mail address to a brand on its trial."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import brands, signup
from accounts.models import PendingSignup, User
from tests.accounts.helpers import link_in, log_in, mails_to
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db
NEW = {"email": "Ada@Example.test", "password1": PASSWORD, "brand_name": "Analytical  Engines"}


def sign_up(client: Client, **changes: Any) -> Any:
    return client.post("/accounts/signup/", NEW | changes)


def test_a_stranger_signs_up_confirms_and_lands_in_a_brand_on_trial(client: Client) -> None:
    answer = sign_up(client)
    assert answer.url == "/accounts/confirm-email/"
    [mail] = mails_to("ada@example.test")
    user = User.objects.get(email="ada@example.test")
    assert brands.places(user) == []  # nothing of a tenant before the address is confirmed

    confirm = link_in(mail)
    assert client.get(confirm).status_code == 200
    assert client.post(confirm).url == "/home/"
    assert client.get("/home/").url == "/b/analytical-engines/"
    page = client.get("/b/analytical-engines/")
    assert page.status_code == 200
    [place] = brands.places(user)
    assert (place.name, place.role) == ("Analytical Engines", "owner")


def test_confirming_in_another_browser_asks_for_the_password(client: Client) -> None:
    sign_up(client)
    [mail] = mails_to("ada@example.test")
    elsewhere = Client()
    assert elsewhere.post(link_in(mail)).url == "/accounts/login/"
    log_in(elsewhere, "ada@example.test", PASSWORD)
    assert elsewhere.get("/home/").url == "/b/analytical-engines/"


def test_an_unconfirmed_address_can_not_log_in(client: Client) -> None:
    sign_up(client)
    elsewhere = Client()
    answer = log_in(elsewhere, "ada@example.test", PASSWORD)
    assert answer.url == "/accounts/confirm-email/"
    assert elsewhere.get("/home/").status_code == 302
    assert "_auth_user_id" not in elsewhere.session


def test_a_known_address_gets_the_same_answer_and_a_mail_instead_of_an_account(
    client: Client,
) -> None:
    fresh = sign_up(client, email="new@example.test")
    make_user(email="ada@example.test")
    known = sign_up(Client())
    assert (known.status_code, known.url) == (fresh.status_code, fresh.url)
    [mail] = mails_to("ada@example.test")
    assert "already" in mail.text.reveal()
    assert User.objects.filter(email="ada@example.test").count() == 1


def test_what_was_pending_is_settled_once(client: Client) -> None:
    sign_up(client)
    user = User.objects.get(email="ada@example.test")
    assert signup.settle(user) == "analytical-engines"
    assert signup.settle(user) is None
    assert not PendingSignup.objects.exists()
    assert len(brands.places(user)) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"email": "nobody"}, "valid email address"),
        ({"password1": "short"}, "at least 10 characters"),
        ({"password1": "password123456"}, "common"),
        ({"brand_name": ""}, "required"),
        ({"brand_name": "x" * 81}, "80 characters"),
        ({"brand_name": "a\x00b"}, "Null characters"),
    ],
)
def test_bad_input_is_explained_and_makes_nothing(
    client: Client, changes: dict[str, str], words: str
) -> None:
    answer = sign_up(client, **changes)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not User.objects.exists()


def test_two_brands_of_one_name_get_two_addresses(client: Client) -> None:
    owner = make_user()
    first = brands.create(name="Twin", owner=owner)
    second = brands.create(name="Twin", owner=owner)
    assert first.slug == "twin"
    assert second.slug != "twin"
    assert second.slug.startswith("twin-")


def test_a_person_without_a_brand_is_asked_to_name_one(client: Client) -> None:
    client.force_login(make_user())
    assert client.get("/home/").url == "/brands/new/"
    assert client.post("/brands/new/", {"name": "Engines"}).url == "/b/engines/"


def test_staff_without_a_brand_land_in_the_console(client: Client) -> None:
    staff = make_user(is_staff=True)
    client.force_login(staff)
    assert client.get("/home/").url == "/admin/"
    brands.create(name="Engines", owner=staff)
    assert client.get("/home/").url == "/b/engines/"
