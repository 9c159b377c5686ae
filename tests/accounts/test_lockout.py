"""Guessing passwords: who waits, how long, and that neither proxies nor restarts undo it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client, override_settings
from django.utils import timezone

from accounts.lockout import wait
from tests.accounts.helpers import log_in
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> Any:
    return make_user(email="ada@example.test")


def guess(times: int, email: str = "ada@example.test", **extra: Any) -> list[int]:
    return [log_in(Client(), email, "wrong", **extra).status_code for _ in range(times)]


@pytest.mark.parametrize(
    ("failures", "seconds"), [(4, 0), (5, 60), (6, 120), (8, 480), (10, 1800), (500, 1800)]
)
def test_the_wait_doubles_up_to_half_an_hour(failures: int, seconds: int) -> None:
    assert wait(failures, 5) == timedelta(seconds=seconds)


def test_five_failures_make_one_wait_even_with_the_right_password(person: Any) -> None:
    assert guess(5) == [200, 200, 200, 200, 429]
    answer = log_in(Client(), person.email, PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert "in 1 min" in answer.content.decode() or "in 59 s" in answer.content.decode()
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert log_in(Client(), person.email, PASSWORD).status_code == 302


def test_knocking_while_waiting_neither_counts_nor_lengthens(person: Any) -> None:
    guess(5)
    assert set(guess(5)) == {429}
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert log_in(Client(), person.email, PASSWORD).status_code == 302


def test_the_next_failure_after_a_wait_waits_longer(person: Any) -> None:
    guess(5)
    with time_machine.travel(timezone.now() + timedelta(seconds=61), tick=False) as clock:
        assert guess(1) == [429]
        clock.shift(timedelta(seconds=61))
        assert log_in(Client(), person.email, PASSWORD).status_code == 429
        clock.shift(timedelta(seconds=60))
        assert log_in(Client(), person.email, PASSWORD).status_code == 302


def test_an_empty_cache_forgets_nothing(person: Any) -> None:
    guess(5)
    cache.clear()  # as after a restart of Valkey
    assert log_in(Client(), person.email, PASSWORD).status_code == 429


def test_another_network_is_not_locked_out(person: Any) -> None:
    guess(5, REMOTE_ADDR="198.51.100.7")
    answer = log_in(Client(), person.email, PASSWORD, REMOTE_ADDR="203.0.113.9")
    assert answer.status_code == 302


def test_one_network_over_many_people_waits_too(person: Any) -> None:
    for number in range(19):
        assert guess(1, f"victim{number}@example.test") == [200]
    assert guess(1, "victim19@example.test") == [429]
    assert log_in(Client(), person.email, PASSWORD).status_code == 429
    assert log_in(Client(), person.email, PASSWORD, REMOTE_ADDR="203.0.113.9").status_code == 302


def test_ones_own_login_does_not_clear_the_networks_guesses(person: Any) -> None:
    for number in range(19):
        guess(1, f"victim{number}@example.test")
    assert log_in(Client(), person.email, PASSWORD).status_code == 302
    assert guess(1, "victim19@example.test") == [429]


def test_many_networks_against_one_person_are_slowed(person: Any) -> None:
    codes = [
        log_in(Client(), person.email, "wrong", REMOTE_ADDR=f"198.51.100.{n}").status_code
        for n in range(11)
    ]
    assert codes == [200] * 10 + [429]


def test_a_forged_header_is_not_another_network(person: Any) -> None:
    for number in range(5):
        guess(1, HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    answer = log_in(Client(), person.email, PASSWORD, HTTP_X_FORWARDED_FOR="192.0.2.200")
    assert answer.status_code == 429


@override_settings(TRUSTED_PROXIES=["127.0.0.1/32"])
def test_behind_a_trusted_proxy_the_client_counts(person: Any) -> None:
    for number in range(5):  # the left part is the client's own invention
        guess(1, HTTP_X_FORWARDED_FOR=f"192.0.2.{number}, 198.51.100.7")
    forged = log_in(Client(), person.email, PASSWORD, HTTP_X_FORWARDED_FOR="9.9.9.9, 198.51.100.7")
    assert forged.status_code == 429
    other = log_in(Client(), person.email, PASSWORD, HTTP_X_FORWARDED_FOR="203.0.113.9")
    assert other.status_code == 302


def test_passwords_are_not_kept(person: Any) -> None:
    from axes.models import AccessAttempt

    log_in(Client(), person.email, "my-other-password")
    [attempt] = AccessAttempt.objects.all()
    assert attempt.username == "ada@example.test"
    assert "my-other-password" not in attempt.post_data
