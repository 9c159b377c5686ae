"""Second factors: sealed at rest, and a change of them is a change of rights."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone

from tests.accounts.helpers import log_in
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.usefixtures("live_db")  # allauth tells of a change after the commit


@pytest.fixture
def person(live_db: Any) -> Any:
    return make_user(email="ada@example.test")


def logged_in(person: Any) -> Client:
    client = Client()
    assert log_in(client, person.email, PASSWORD).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get("/accounts/profile/").status_code == 200


def test_a_second_factor_gives_a_new_key_and_ends_the_other_sessions(person: Any) -> None:
    here, elsewhere = logged_in(person), logged_in(person)
    before = here.session.session_key
    turn_on_totp(here)
    assert is_in(here)
    assert here.session.session_key != before
    assert not is_in(elsewhere)
    assert [s.session_key for s in UserSession.objects.all()] == [here.session.session_key]
    assert not Session.objects.filter(pk=before).exists()


def test_taking_the_second_factor_away_does_the_same(person: Any) -> None:
    here = logged_in(person)
    turn_on_totp(here)
    before = here.session.session_key
    here.post("/accounts/2fa/totp/deactivate/")
    assert is_in(here)
    assert here.session.session_key != before


def turn_on_totp(client: Client) -> str:
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.get("/accounts/2fa/totp/activate/")
    secret = client.session["mfa.totp.secret"]
    code = format_hotp_value(hotp_value(secret, int(timezone.now().timestamp()) // 30))
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code})
    assert answer.url == "/accounts/2fa/recovery-codes/", answer.content
    return str(secret)


def test_the_second_factors_are_sealed_at_rest(person: Any) -> None:
    secret = turn_on_totp(logged_in(person))
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(data::text, ' ') FROM mfa_authenticator")
        stored = cursor.fetchone()[0]
    assert secret not in stored
    assert "t1:" in stored
    login = Client()
    assert log_in(login, person.email, PASSWORD).url.startswith("/accounts/2fa/authenticate/")
    with time_machine.travel(timezone.now() + timedelta(seconds=60)):
        code = format_hotp_value(hotp_value(secret, int(timezone.now().timestamp()) // 30))
        assert login.post("/accounts/2fa/authenticate/", {"code": code}).url == "/home/"
    assert is_in(login)
