"""How many people a plan has room for: said on the team page, held when inviting and joining."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts import brands, invitations, seats, team
from accounts.models import Brand, Invitation, Membership, PendingSignup
from accounts.roles import Role
from accounts.seats import Seats
from billing.models import BillingAccount
from saas.errors import Refused
from saas.tenancy import scope
from tests.accounts.helpers import at_once, mails_to
from tests.factories import PASSWORD, make_brand, make_user

Login = Callable[[Any], Client]


def offer(brand: Any, email: str, actor: Any) -> str:
    with scope(brand):
        return invitations.token(team.invite(email=email, role=Role.MEMBER, actor=actor))


def people(brand: Any) -> int:
    with scope(brand):
        return int(Membership.objects.count())


@pytest.mark.django_db
def test_the_trials_three_places_and_not_one_more(
    brand: Any, owner: Any, client_for: Login
) -> None:
    client, team_page = client_for(owner), f"/b/{brand.slug}/team/"
    assert "1 of 3 people" in client.get(team_page).content.decode()
    for name in ("bob", "eve"):
        client.post(f"{team_page}invite/", {"email": f"{name}@example.test", "role": "member"})
    page = client.get(team_page).content.decode()
    assert "1 of 3 people, 2 invited" in page
    assert "Choose a larger plan" in page
    assert "Withdraw an invitation to make room." in page
    answer = client.post(f"{team_page}invite/", {"email": "max@example.test", "role": "member"})
    assert answer.status_code == 422
    assert (
        "Your plan has room for 3 people: 1 in the team, and 2 invited. "
        "Withdraw an invitation, or choose a larger plan under Billing."
    ) in answer.content.decode()
    assert mails_to("max@example.test") == []


@pytest.mark.django_db
def test_a_larger_plan_makes_room_and_what_ran_out_takes_none(brand: Any, owner: Any) -> None:
    offer(brand, "bob@example.test", owner)
    offer(brand, "eve@example.test", owner)
    with pytest.raises(Refused, match="team_full"):
        offer(brand, "max@example.test", owner)
    with scope(brand):
        BillingAccount.objects.update(plan="leads_growth")
    offer(brand, "max@example.test", owner)
    with scope(brand):
        assert seats.of(brand.pk) == Seats(members=1, invited=3, limit=10)
        Invitation.objects.update(expires_at=timezone.now())
        assert seats.of(brand.pk) == Seats(members=1, invited=0, limit=10)


@pytest.mark.django_db
def test_an_offer_that_ran_out_is_renewed_only_into_a_free_place(brand: Any, owner: Any) -> None:
    with scope(brand):
        late = team.invite(email="late@example.test", role=Role.MEMBER, actor=owner)
        with time_machine.travel(timezone.now() + timedelta(days=8)):
            rest = [
                team.invite(email=f"{name}@example.test", role=Role.MEMBER, actor=owner)
                for name in ("bob", "eve")
            ]
            with pytest.raises(Refused, match="team_full"):
                team.invite_again(late, actor=owner)
            team.invite_again(rest[0], actor=owner)  # it has its place
            invitations.revoke(rest[1], actor=owner)
            team.invite_again(late, actor=owner)


@pytest.mark.django_db
def test_who_comes_after_the_plan_shrank_is_told_and_can_come_later(
    brand: Any, owner: Any, client_for: Login
) -> None:
    bob = make_user(email="bob@example.test")
    token = offer(brand, bob.email, owner)
    with scope(brand):
        BillingAccount.objects.update(plan="vpn_solo")
    client = client_for(bob)
    page = client.post(f"/invitations/{token}/", follow=True).content.decode()
    assert f"{brand.name} has room for one person, and every place is taken." in page
    assert people(brand) == 1
    with scope(brand):
        BillingAccount.objects.update(plan="vpn_team", seats=3)
    assert client.post(f"/invitations/{token}/").url == f"/b/{brand.slug}/"
    with scope(brand):
        BillingAccount.objects.update(plan="vpn_solo", seats=1)
    assert client.post(f"/invitations/{token}/").url == f"/b/{brand.slug}/"  # a member stays one
    assert people(brand) == 2


@pytest.mark.django_db
def test_a_first_login_into_a_full_team_says_so(brand: Any, owner: Any, client: Client) -> None:
    bob = make_user(email="bob@example.test")
    token = offer(brand, bob.email, owner)
    PendingSignup.objects.create(user=bob, invitation=token)
    with scope(brand):
        BillingAccount.objects.update(plan="vpn_solo")
    form = {"login": bob.email, "password": PASSWORD}
    page = client.post("/accounts/login/", form, follow=True)
    assert page.redirect_chain[-1][0] == "/brands/new/"
    assert "every place is taken" in page.content.decode()
    assert not PendingSignup.objects.exists()


def test_of_six_who_accept_at_once_two_get_the_last_two_places(live_db: Any) -> None:
    owner = make_user()
    brand = make_brand(owner=owner)
    with scope(brand):
        BillingAccount.objects.update(plan="leads_growth")
    invited = [make_user() for _ in range(6)]
    tokens = [(user, offer(brand, user.email, owner)) for user in invited]
    with scope(brand):
        BillingAccount.objects.update(plan="trial")
    outcome = at_once(*(lambda u=u, t=t: invitations.accept(t, user=u) for u, t in tokens))
    assert sorted(map(str, outcome)) == sorted([str(Refused)] * 4 + [brand.slug] * 2)
    assert people(brand) == 3


def test_two_invitations_at_once_offer_no_place_twice(live_db: Any) -> None:
    owner = make_user()
    brand = make_brand(owner=owner)
    offer(brand, "first@example.test", owner)
    outcome = at_once(
        lambda: bool(offer(brand, "bob@example.test", owner)),
        lambda: bool(offer(brand, "eve@example.test", owner)),
    )
    assert sorted(map(str, outcome)) == [str(Refused), "True"]


@pytest.mark.django_db
def test_nobody_joins_a_brand_that_is_being_deleted(
    brand: Any, owner: Any, client_for: Login
) -> None:
    bob = make_user(email="bob@example.test")
    token = offer(brand, bob.email, owner)
    with scope(brand):
        Brand.objects.update(erase_requested_at=timezone.now())
    client = client_for(bob)
    answer = client.get(f"/invitations/{token}/")
    assert answer.status_code == 410
    assert "This brand was deleted" in answer.content.decode()
    with pytest.raises(Refused, match="invitation_closed"):
        invitations.accept(token, user=bob)
    with scope(brand), pytest.raises(Refused, match="brand_closed"):
        team.invite(email="eve@example.test", role=Role.MEMBER, actor=owner)
    assert people(brand) == 1
    assert brands.places(bob) == []
