"""Two people change one team at the same moment, on real commits."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from accounts import brands, signup, team
from accounts.models import Membership, PendingSignup
from accounts.roles import Role
from saas.tenancy import scope
from tests.accounts.helpers import at_once
from tests.factories import make_brand, make_user

pytestmark = pytest.mark.usefixtures("live_db")


@pytest.fixture
def two_owners() -> tuple[Any, Any, Any]:
    first, second = make_user(), make_user()
    brand = make_brand(owner=first)
    with scope(brand):
        Membership.objects.create(user=second, role=Role.OWNER)
    return brand, first, second


def owners(brand: Any) -> int:
    with scope(brand):
        return int(Membership.objects.filter(role=Role.OWNER).count())


def test_two_owners_who_demote_each_other_past_the_services_leave_one(
    two_owners: tuple[Any, Any, Any],
) -> None:
    brand, first, second = two_owners
    both_changed = threading.Barrier(2)

    def demote(user: Any) -> None:
        with scope(brand):
            Membership.objects.filter(user=user).update(role=Role.VIEWER)
            both_changed.wait()  # each still sees the other as an owner; the commit decides

    outcome = at_once(lambda: demote(first), lambda: demote(second))
    assert sorted(map(str, outcome)) == ["<class 'django.db.utils.IntegrityError'>", "None"]
    assert owners(brand) == 1


def test_two_owners_who_leave_at_once_are_told_in_words(two_owners: tuple[Any, Any, Any]) -> None:
    brand, first, second = two_owners

    def leave(user: Any) -> None:
        with scope(brand):
            team.remove(Membership.objects.get(user=user), actor=user)

    outcome = at_once(lambda: leave(first), lambda: leave(second))
    assert sorted(map(str, outcome)) == ["<class 'saas.errors.Refused'>", "None"]
    assert owners(brand) == 1


def test_two_logins_at_once_make_one_brand() -> None:
    user = make_user()
    PendingSignup.objects.create(user=user, brand_name="Engines")
    slugs = at_once(lambda: signup.settle(user), lambda: signup.settle(user))
    assert sorted(map(str, slugs)) == ["None", "engines"]
    assert [place.slug for place in brands.places(user)] == ["engines"]
