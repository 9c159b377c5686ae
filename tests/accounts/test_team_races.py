"""Two people change one team at the same moment, on real commits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.db import connection

from accounts import brands, signup, team
from accounts.models import Membership, PendingSignup
from accounts.roles import Role
from saas.errors import Refused
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


Decision = Callable[[Membership, Any], None]


def demote(row: Membership, actor: Any) -> None:
    team.change_role(row, role=Role.VIEWER, actor=actor)


def remove(row: Membership, actor: Any) -> None:
    team.remove(row, actor=actor)


def decide_on_what_was(
    brand: Any, who: Any, actor: Any, decide: Decision, meanwhile: Callable[[], None]
) -> str:
    """Read the membership, let `meanwhile` commit, decide; the code of the refusal, or ""."""
    with scope(brand):
        stale = Membership.objects.get(user=who)
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(_closing(meanwhile)).result()
        try:
            decide(stale, actor)
        except Refused as refusal:
            return refusal.code
    return ""


def _closing(work: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    return run


def role_of(brand: Any, user: Any) -> str:
    with scope(brand):
        return str(Membership.objects.get(user=user).role)


def give(brand: Any, user: Any, role: Role, actor: Any) -> None:
    with scope(brand):
        team.change_role(Membership.objects.get(user=user), role=role, actor=actor)


def journal(brand: Any) -> list[Any]:
    rows = LogEntry.objects.filter(additional_data__brand=brand.pk).order_by("pk")
    return [
        e.changes["role"]
        for e in rows
        if e.additional_data["event"] in ("membership.role_changed", "membership.ended")
    ]


@pytest.fixture
def team_of_three() -> tuple[Any, Any, Any, Any]:
    owner, admin, vic = make_user(), make_user(), make_user()
    brand = make_brand(owner=owner)
    with scope(brand):
        Membership.objects.create(user=admin, role=Role.ADMIN)
        Membership.objects.create(user=vic, role=Role.MEMBER)
    return brand, owner, admin, vic


@pytest.mark.parametrize("decide", [demote, remove])
def test_who_became_an_owner_meanwhile_is_out_of_an_admins_reach(
    team_of_three: tuple[Any, Any, Any, Any], decide: Decision
) -> None:
    brand, owner, admin, vic = team_of_three
    promotion = partial(give, brand, vic, Role.OWNER, owner)
    assert decide_on_what_was(brand, vic, admin, decide, promotion) == "owners_only"
    assert role_of(brand, vic) == "owner"
    assert journal(brand) == [["member", "owner"]]


@pytest.mark.parametrize("decide", [demote, remove])
def test_who_lost_their_rights_meanwhile_decides_nothing(
    team_of_three: tuple[Any, Any, Any, Any], decide: Decision
) -> None:
    brand, owner, admin, vic = team_of_three
    fall = partial(give, brand, admin, Role.MEMBER, owner)
    assert decide_on_what_was(brand, vic, admin, decide, fall) == "not_yours"
    assert role_of(brand, vic) == "member"
    assert journal(brand) == [["admin", "member"]]


def test_the_journal_tells_the_role_that_was(team_of_three: tuple[Any, Any, Any, Any]) -> None:
    brand, owner, admin, vic = team_of_three
    rise = partial(give, brand, vic, Role.ADMIN, owner)
    assert decide_on_what_was(brand, vic, admin, demote, rise) == ""
    assert journal(brand) == [["member", "admin"], ["admin", "viewer"]]


def test_who_left_meanwhile_is_not_removed_again(
    team_of_three: tuple[Any, Any, Any, Any],
) -> None:
    brand, _, admin, vic = team_of_three

    def leave() -> None:
        with scope(brand):
            team.remove(Membership.objects.get(user=vic), actor=vic)

    assert decide_on_what_was(brand, vic, admin, remove, leave) == "left_already"
    assert journal(brand) == [["member", None]]


def test_a_decision_waits_for_the_one_under_way(team_of_three: tuple[Any, Any, Any, Any]) -> None:
    brand, owner, admin, vic = team_of_three
    promoted, seen = threading.Event(), threading.Event()

    def promote() -> None:
        with scope(brand):
            team.change_role(Membership.objects.get(user=vic), role=Role.OWNER, actor=owner)
            promoted.set()
            assert seen.wait(30)  # the commit comes after the admin's request read the old row

    def demote_meanwhile() -> None:
        assert promoted.wait(30)
        with scope(brand):
            stale = Membership.objects.get(user=vic)
            assert stale.role == Role.MEMBER
            seen.set()
            demote(stale, admin)

    assert at_once(promote, demote_meanwhile) == [None, Refused]
    assert role_of(brand, vic) == "owner"


def test_two_logins_at_once_make_one_brand() -> None:
    user = make_user()
    PendingSignup.objects.create(user=user, brand_name="Engines")
    slugs = at_once(lambda: signup.settle(user), lambda: signup.settle(user))
    assert sorted(map(str, slugs)) == ["None", "engines"]
    assert [place.slug for place in brands.places(user)] == ["engines"]
