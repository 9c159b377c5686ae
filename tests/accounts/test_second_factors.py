"""Second factors: sealed at rest, and a change of them is a change of rights."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import Any

import pytest
import redis
import time_machine
from allauth.mfa.models import Authenticator
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


def pending_secret(client: Client) -> str:
    """The secret that the page shows, as one types it into the app."""
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    found = re.search(r"\b[A-Z2-7]{32}\b", page)
    assert found
    return found[0]


def turn_on_totp(client: Client) -> str:
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    secret = pending_secret(client)
    code = format_hotp_value(hotp_value(secret, int(timezone.now().timestamp()) // 30))
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code})
    assert answer.url == "/accounts/2fa/recovery-codes/", answer.content
    return str(secret)


def test_a_secret_that_waits_for_its_first_code_is_sealed(person: Any) -> None:
    client = logged_in(person)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    secret = pending_secret(client)
    wrong = client.post("/accounts/2fa/totp/activate/", {"code": "000000"})
    assert secret in wrong.content.decode()  # the app has it already: it stays
    [row] = Session.objects.all()
    assert "mfa.totp.secret" in row.get_decoded()
    assert secret not in str(row.get_decoded())
    valkey = redis.Redis.from_url(os.environ["REDIS_URL"])
    kept = b"".join(valkey.dump(key) or b"" for key in valkey.scan_iter("*sessions*"))
    assert b"mfa.totp.secret" in kept
    assert secret.encode() not in kept


def test_a_waiting_secret_opens_for_its_person_alone(person: Any) -> None:
    client, other = logged_in(person), make_user(email="eve@example.test")
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    shown = pending_secret(client)
    foreign = logged_in(other)
    foreign.post("/accounts/reauthenticate/", {"password": PASSWORD})
    session = foreign.session
    session["mfa.totp.secret"] = client.session["mfa.totp.secret"]
    session.save()
    code = format_hotp_value(hotp_value(shown, int(timezone.now().timestamp()) // 30))
    page = foreign.post("/accounts/2fa/totp/activate/", {"code": code})
    assert page.status_code == 200
    assert shown not in page.content.decode()
    assert not Authenticator.objects.exists()


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
