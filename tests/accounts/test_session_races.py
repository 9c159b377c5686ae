"""Requests at once right after a change of rights: one new key, and nobody is logged out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from http.cookies import Morsel
from typing import Any

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts import sessions
from accounts.models import User
from tests.accounts.helpers import at_once, log_in
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.usefixtures("live_db")
PAGE = "/accounts/profile/"
COOKIE = settings.SESSION_COOKIE_NAME


@pytest.fixture
def ada(live_db: Any) -> Any:
    return make_user(email="ada@example.test")


@pytest.fixture
def old_key(ada: Any) -> str:
    """The key of a session whose person was given other rights since."""
    client = Client()
    log_in(client, ada.email, PASSWORD)
    User.objects.filter(pk=ada.pk).update(privileges_changed_at=timezone.now())
    return str(client.cookies[COOKIE].value)


def with_key(key: str) -> Client:
    client = Client()
    client.cookies[COOKIE] = key
    return client


def ask(key: str) -> tuple[int, str]:
    """Status, and the key that the answer sets ("" when it deletes the cookie)."""
    answer = with_key(key).get(PAGE)
    cookie: Morsel[str] | None = answer.cookies.get(COOKIE)
    return answer.status_code, cookie.value if cookie else key


def is_in(key: str) -> bool:
    return with_key(key).get(PAGE).status_code == 200


def test_requests_at_once_get_one_new_key_and_all_their_page(ada: Any, old_key: str) -> None:
    answers = at_once(*[lambda: ask(old_key)] * 6)
    assert {status for status, _ in answers} == {200}
    [new] = {key for _, key in answers}
    assert new != old_key
    assert [s.session_key for s in UserSession.objects.all()] == [new]
    assert sessions.end_all(ada) == 1
    assert not is_in(new)


def test_a_request_that_left_before_the_new_key_came_is_not_logged_out(old_key: str) -> None:
    _, new = ask(old_key)
    assert ask(old_key) == (200, new)


def test_the_old_key_dies_within_seconds_and_holds_nothing(old_key: str) -> None:
    _, new = ask(old_key)
    assert set(Session.objects.get(pk=old_key).get_decoded()) == {"_moved"}
    with time_machine.travel(timezone.now() + timedelta(seconds=10)):
        assert not is_in(old_key)
        assert is_in(new)


def test_two_renewals_in_a_row_lead_on(ada: Any, old_key: str) -> None:
    _, second = ask(old_key)
    User.objects.filter(pk=ada.pk).update(privileges_changed_at=timezone.now())
    _, third = ask(second)
    assert len({old_key, second, third}) == 3
    assert ask(old_key) == (200, third)


def new_password(client: Client) -> None:
    new = "another horse battery"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert client.post("/accounts/password/change/", form).status_code == 302


@pytest.mark.parametrize(
    "end",
    [lambda client: client.post("/accounts/logout/"), new_password],
    ids=["logout", "new password"],
)
def test_what_ends_a_key_ends_the_old_one_with_it(
    old_key: str, end: Callable[[Client], Any]
) -> None:
    _, new = ask(old_key)
    end(with_key(new))
    assert not is_in(new)
    assert not is_in(old_key)


def test_a_logout_with_the_old_key_ends_the_new_one(old_key: str) -> None:
    _, new = ask(old_key)
    with_key(old_key).post("/accounts/logout/")
    assert not is_in(new)


def test_ending_all_sessions_misses_none_that_is_being_renewed(ada: Any, old_key: str) -> None:
    key = old_key
    for _ in range(5):
        renewed, _ = at_once(lambda key=key: ask(key), lambda: sessions.end_all(ada))
        assert not is_in(key)
        assert not is_in(renewed[1])
        assert not UserSession.objects.exists()
        client = Client()
        log_in(client, ada.email, PASSWORD)
        key = str(client.cookies[COOKIE].value)
        User.objects.filter(pk=ada.pk).update(privileges_changed_at=timezone.now())


def test_a_key_that_ended_while_its_request_was_under_way_is_nobodys(old_key: str) -> None:
    """The session was read from Valkey, and is gone from PostgreSQL when its key is renewed."""
    Session.objects.filter(pk=old_key).delete()
    assert not is_in(old_key)


def test_the_sweep_deletes_what_expired_and_nothing_else(old_key: str) -> None:
    _, new = ask(old_key)
    with time_machine.travel(timezone.now() + timedelta(seconds=11)):
        sessions.sweep()
    assert [s.pk for s in Session.objects.all()] == [new]
    assert [s.session_key for s in UserSession.objects.all()] == [new]
    Session.objects.update(expire_date=timezone.now())
    sessions.sweep()
    assert not Session.objects.exists()
    assert not UserSession.objects.exists()
