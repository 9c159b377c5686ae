"""Sessions: two time-outs, new keys when rights change, and no way to lose one's page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.test import Client
from django.utils import timezone

from tests.accounts.helpers import link_in, log_in, mails_to
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> Any:
    return make_user(email="ada@example.test")


def logged_in(person: Any) -> Client:
    client = Client()
    assert log_in(client, person.email, PASSWORD).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get("/accounts/profile/").status_code == 200


def test_an_hour_without_a_request_ends_it(person: Any) -> None:
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        client = logged_in(person)
        for minutes in (59, 59, 59):
            clock.shift(timedelta(minutes=minutes))
            assert is_in(client)
        clock.shift(timedelta(minutes=60))
        assert not is_in(client)
    assert not UserSession.objects.exists()


def test_twelve_hours_end_it_whatever_happens(person: Any) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        client = logged_in(person)
        for _ in range(settings.SESSION_COOKIE_AGE // 1800 - 1):
            clock.shift(timedelta(minutes=30))
            assert is_in(client)
        clock.shift(timedelta(minutes=30))
        assert not is_in(client)


def test_a_login_changes_the_key(client: Client, person: Any) -> None:
    client.get("/accounts/login/")
    client.session["x"] = 1
    client.session.save()
    before = client.session.session_key
    log_in(client, person.email, PASSWORD)
    assert client.session.session_key != before


def test_a_new_password_ends_the_other_sessions(person: Any) -> None:
    here, elsewhere = logged_in(person), logged_in(person)
    before = here.session.session_key
    new = "another horse battery"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert here.post("/accounts/password/change/", form).status_code == 302
    assert is_in(here)
    assert here.session.session_key != before
    assert not is_in(elsewhere)


def test_a_reset_by_mail_ends_them_all(person: Any, client: Client) -> None:
    elsewhere = logged_in(person)
    client.post("/accounts/password/reset/", {"email": person.email})
    [mail] = mails_to(person.email)
    page = client.get(link_in(mail), follow=True)
    new = "another horse battery"
    client.post(page.redirect_chain[-1][0], {"password1": new, "password2": new})
    assert not is_in(elsewhere)
    assert log_in(Client(), person.email, new).status_code == 302


def test_sessions_are_listed_and_revoked(person: Any) -> None:
    here, elsewhere = logged_in(person), logged_in(person)
    assert UserSession.objects.filter(user=person).count() == 2
    here.post("/accounts/sessions/")
    assert is_in(here)
    assert not is_in(elsewhere)


@pytest.mark.parametrize(
    ("request_with", "back"),
    [
        ({}, "/b/{slug}/settings/"),
        ({"method": "post"}, "/home/"),
        (
            {"method": "post", "HTTP_REFERER": "http://testserver/b/{slug}/settings/?tab=1"},
            "/b/{slug}/settings/%3Ftab%3D1",
        ),
        ({"method": "post", "HTTP_REFERER": "https://evil.example/b/"}, "/home/"),
    ],
)
def test_after_the_login_one_is_back_on_the_page(
    brand: Any, client: Client, request_with: dict[str, str], back: str
) -> None:
    extra = {k: v.format(slug=brand.slug) for k, v in request_with.items()}
    send: Callable[..., Any] = getattr(client, extra.pop("method", "get"))
    answer = send(f"/b/{brand.slug}/settings/", **extra)
    assert answer.url == "/accounts/login/?next=" + back.format(slug=brand.slug)


def test_a_live_part_of_a_page_sends_the_whole_page_to_the_login(
    brand: Any, client: Client
) -> None:
    answer = client.get(
        f"/b/{brand.slug}/",
        headers={"HX-Request": "true", "HX-Current-URL": f"http://testserver/b/{brand.slug}/team/"},
    )
    assert answer.headers["HX-Redirect"] == f"/accounts/login/?next=/b/{brand.slug}/team/"


NOTHING_SAVED = "You were logged out, so nothing was saved."


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
@pytest.mark.parametrize("path", ["/b/{slug}/settings/", "/accounts/profile/"])
def test_whose_form_came_too_late_is_told_so(
    brand: Any, client: Client, path: str, headers: dict[str, str]
) -> None:
    client.post(path.format(slug=brand.slug), {"name": "Lost"}, headers=headers)
    assert NOTHING_SAVED in client.get("/accounts/login/").content.decode()


def test_a_time_out_in_a_form_is_told_once(person: Any) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        client = logged_in(person)
        clock.shift(timedelta(minutes=60))
        client.post("/accounts/profile/", {"name": "Lost"})
        page = client.get("/accounts/login/").content.decode()
    assert NOTHING_SAVED in page
    assert "to keep your account safe" not in page
    person.refresh_from_db()
    assert person.name == ""


def test_a_page_and_a_cancelled_login_lost_nothing(brand: Any, client: Client) -> None:
    client.get(f"/b/{brand.slug}/settings/")
    client.post("/accounts/logout/", {"next": "/accounts/login/"})
    assert NOTHING_SAVED not in client.get("/accounts/login/").content.decode()
