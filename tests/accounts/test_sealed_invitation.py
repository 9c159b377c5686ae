"""The token of the invitation that a sign-up came by is sealed; those from before still work."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from accounts import invitations, signup, team
from accounts.models import PendingSignup
from accounts.roles import Role
from saas.tenancy import scope
from tests.factories import make_user

pytestmark = pytest.mark.django_db
MIGRATION = import_module("accounts.migrations.0006_seal_invitations")


@pytest.fixture
def token(brand: Any, owner: Any) -> str:
    with scope(brand):
        offer = team.invite(email="bob@example.test", role=Role.MEMBER, actor=owner)
    return invitations.token(offer)


@pytest.fixture
def bob() -> Any:
    return make_user(email="bob@example.test")


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT invitation FROM accounts_pendingsignup")
        [(text,)] = cursor.fetchall()
    return str(text)


def left_in_clear(user: Any, token: str, *, ago: timedelta) -> None:
    """A row as code before the seal wrote it."""
    PendingSignup.objects.create(user=user)
    with connection.cursor() as cursor:
        values = [token, timezone.now() - ago]
        cursor.execute("UPDATE accounts_pendingsignup SET invitation = %s, created_at = %s", values)


def test_the_token_is_sealed_and_settles(brand: Any, bob: Any, token: str) -> None:
    signup.remember(user=bob, brand_name="", invitation=token)
    assert token not in stored()
    assert PendingSignup.objects.get().invitation.reveal() == token
    assert signup.settle(bob) == brand.slug


def test_one_in_clear_settles_too(brand: Any, bob: Any, token: str) -> None:
    left_in_clear(bob, token, ago=timedelta(minutes=1))
    assert signup.settle(bob) == brand.slug


def test_one_in_clear_that_nobody_signed_joins_nothing(bob: Any, token: str) -> None:
    left_in_clear(bob, token[:-3] + "xxx", ago=timedelta(minutes=1))
    assert signup.settle(bob) is None


def test_the_migration_seals_what_was_left_and_reverses(brand: Any, bob: Any, token: str) -> None:
    left_in_clear(bob, token, ago=timedelta(hours=2))
    MIGRATION.seal(apps, None)
    sealed = stored()
    assert token not in sealed
    MIGRATION.seal(apps, None)
    assert stored() == sealed
    MIGRATION.open_again(apps, None)
    assert stored() == token
    MIGRATION.open_again(apps, None)
    assert stored() == token
    MIGRATION.seal(apps, None)
    assert signup.settle(bob) == brand.slug


def test_the_migration_leaves_one_that_is_being_settled(bob: Any, token: str) -> None:
    left_in_clear(bob, token, ago=timedelta(minutes=1))
    MIGRATION.seal(apps, None)
    assert stored() == token
