"""The team: invitations, roles, and the owner that a brand always keeps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from accounts import brands, invitations, team
from accounts.models import Invitation, Membership, User
from accounts.roles import Role
from saas.errors import Refused
from saas.tenancy import scope
from tests.accounts.helpers import link_in, mails_to
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db
Login = Callable[[Any], Client]


def join(brand: Any, role: str, **fields: Any) -> User:
    user: User = make_user(**fields)
    with scope(brand):
        Membership.objects.create(user=user, role=role)
    return user


def role_of(brand: Any, user: User) -> str | None:
    roles = {place.slug: place.role for place in brands.places(user)}
    return roles.get(brand.slug)


@pytest.fixture
def invitation_link(brand: Any, owner: Any, client_for: Login) -> str:
    data = {"email": "Bob@example.test", "role": "member"}
    answer = client_for(owner).post(f"/b/{brand.slug}/team/invite/", data)
    assert answer.url == f"/b/{brand.slug}/team/"
    [mail] = mails_to("bob@example.test")
    assert brand.name in mail.subject
    return link_in(mail)


def test_a_colleague_without_an_account_joins_by_the_link(
    client: Client, brand: Any, invitation_link: str
) -> None:
    assert f"Join {brand.name}" in client.get(invitation_link).content.decode()
    assert client.post(invitation_link).url == "/accounts/signup/"
    page = client.get("/accounts/signup/").content.decode()
    assert "bob@example.test" in page
    assert "brand_name" not in page
    form = {"email": "bob@example.test", "password1": PASSWORD}
    assert client.post("/accounts/signup/", form).url == "/home/"  # the link proved the address
    assert client.get("/home/").url == f"/b/{brand.slug}/"
    assert role_of(brand, User.objects.get(email="bob@example.test")) == "member"


def test_an_invitation_can_not_be_taken_by_another_address(
    client: Client, brand: Any, invitation_link: str
) -> None:
    client.post(invitation_link)
    form = {"email": "mallory@example.test", "password1": PASSWORD}
    client.post("/accounts/signup/", form)
    assert not User.objects.filter(email="mallory@example.test").exists()
    assert role_of(brand, User.objects.get(email="bob@example.test")) == "member"


def test_an_invitation_withdrawn_meanwhile_leaves_an_ordinary_sign_up(
    client: Client, brand: Any, invitation_link: str
) -> None:
    client.post(invitation_link)
    with scope(brand):
        Invitation.objects.update(revoked_at=timezone.now())
    form = {"email": "bob@example.test", "password1": PASSWORD, "brand_name": "Bob's"}
    client.post("/accounts/signup/", form)
    bob = User.objects.get(email="bob@example.test")
    assert role_of(brand, bob) is None


def test_a_person_with_an_account_logs_in_and_joins(
    client_for: Login, brand: Any, invitation_link: str
) -> None:
    bob = make_user(email="bob@example.test")
    client = client_for(bob)
    assert "Join the team" in client.get(invitation_link).content.decode()
    assert client.post(invitation_link).url == f"/b/{brand.slug}/"
    assert role_of(brand, bob) == "member"
    assert client.post(invitation_link).url == f"/b/{brand.slug}/"  # twice is once


def test_another_person_is_told_whose_invitation_it_is(
    client_for: Login, brand: Any, invitation_link: str
) -> None:
    eve = make_user(email="eve@example.test")
    client = client_for(eve)
    page = client.get(invitation_link).content.decode()
    assert "bob@example.test" in page
    assert "eve@example.test" in page
    client.post(invitation_link)
    assert role_of(brand, eve) is None
    assert client.post(invitation_link, {"action": "log_out"}).url == invitation_link
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"revoked_at": "now"}, "withdrawn"),
        ({"accepted_at": "now"}, "was used"),
        ({"expires_at": "now"}, "ran out"),
    ],
)
def test_a_closed_invitation_says_why(
    client: Client, brand: Any, invitation_link: str, spoil: dict[str, Any], words: str
) -> None:
    with scope(brand):
        Invitation.objects.update(**dict.fromkeys(spoil, timezone.now()))
    answer = client.get(invitation_link)
    assert answer.status_code == 410
    assert words in answer.content.decode()
    bob = make_user(email="bob@example.test")
    with pytest.raises(Refused):
        invitations.accept(invitation_link.split("/")[2], user=bob)
    assert role_of(brand, bob) is None


def test_an_address_with_markup_is_text_in_every_page(
    brand: Any, owner: Any, client: Client, client_for: Login
) -> None:
    address = '"<b>bob</b>"@example.test'  # quoted, it is an address
    theirs = client_for(owner)
    form = {"email": address, "role": "member"}
    invited = theirs.post(f"/b/{brand.slug}/team/invite/", form, follow=True)
    again = theirs.post(f"/b/{brand.slug}/team/invite/", form)
    [mail] = mails_to(address)
    client.post(link_in(mail))
    other = client_for(make_user()).get(link_in(mail))
    for page in (invited, again, client.get("/accounts/signup/"), other):
        assert "&lt;b&gt;bob&lt;/b&gt;" in page.content.decode()
        assert "<b>bob" not in page.content.decode()
    assert "<b>bob" not in mail.html.reveal()


def test_a_forged_token_is_no_page(client: Client, invitation_link: str) -> None:
    assert client.get(invitation_link[:-3] + "xx/").status_code == 404
    assert client.get("/invitations/x/").status_code == 404


def test_inviting_twice_is_refused_until_the_first_ran_out(brand: Any, owner: Any) -> None:
    with scope(brand):
        team.invite(email="bob@example.test", role=Role.MEMBER, actor=owner)
        with pytest.raises(Refused, match="already_invited"):
            team.invite(email="bob@example.test", role=Role.MEMBER, actor=owner)
        with pytest.raises(Refused, match="already_member"):
            team.invite(email=owner.email, role=Role.MEMBER, actor=owner)
        with time_machine.travel(timezone.now() + timedelta(days=8)):
            team.invite(email="bob@example.test", role=Role.VIEWER, actor=owner)
        assert [i.role for i in team.open_invitations()] == ["viewer"]


def test_sending_again_and_withdrawing(brand: Any, owner: Any, client_for: Login) -> None:
    client = client_for(owner)
    with scope(brand):
        invitation = team.invite(email="bob@example.test", role=Role.MEMBER, actor=owner)
    base = f"/b/{brand.slug}/team/invitations/{invitation.pk}"
    client.post(f"{base}/resend/")
    assert len(mails_to("bob@example.test")) == 2
    client.post(f"{base}/revoke/")
    with scope(brand):
        assert team.open_invitations() == []
    page = client.post(f"{base}/resend/", follow=True).content.decode()
    assert "used or withdrawn" in page
    assert len(mails_to("bob@example.test")) == 2


def test_only_owners_touch_owners(brand: Any, owner: Any) -> None:
    admin = join(brand, Role.ADMIN)
    with scope(brand):
        boss = Membership.objects.get(user=owner)
        me = Membership.objects.get(user=admin)
        for attempt in (
            lambda: team.change_role(boss, role=Role.VIEWER, actor=admin),
            lambda: team.change_role(me, role=Role.OWNER, actor=admin),
            lambda: team.remove(boss, actor=admin),
            lambda: team.invite(email="x@example.test", role=Role.OWNER, actor=admin),
        ):
            with pytest.raises(Refused, match="owners_only"):
                attempt()
    assert role_of(brand, owner) == "owner"
    assert role_of(brand, admin) == "admin"


def test_the_last_owner_stays(brand: Any, owner: Any, client_for: Login) -> None:
    with scope(brand):
        boss = Membership.objects.get(user=owner)
        for attempt in (
            lambda: team.change_role(boss, role=Role.VIEWER, actor=owner),
            lambda: team.remove(boss, actor=owner),
        ):
            with pytest.raises(Refused, match="last_owner"):
                attempt()
    page = client_for(owner).post(f"/b/{brand.slug}/team/leave/", follow=True)
    assert "Make someone else an owner first" in page.content.decode()
    assert role_of(brand, owner) == "owner"


@pytest.mark.parametrize(
    "damage",
    [lambda rows: rows.update(role=Role.ADMIN), lambda rows: rows.delete()],
    ids=["demoted", "deleted"],
)
def test_the_database_keeps_the_last_owner_too(
    brand: Any, owner: Any, damage: Callable[[Any], Any]
) -> None:
    def at_the_commit() -> None:
        with transaction.atomic(), scope(brand), connection.cursor() as cursor:
            damage(Membership.objects.filter(user=owner))
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(IntegrityError, match="no owner"):
        at_the_commit()
    assert role_of(brand, owner) == "owner"


def test_two_owners_may_part(brand: Any, owner: Any, client_for: Login) -> None:
    join(brand, Role.OWNER)
    assert client_for(owner).post(f"/b/{brand.slug}/team/leave/").url == "/home/"
    assert role_of(brand, owner) is None


def test_a_change_of_role_gives_the_members_session_a_new_key(
    brand: Any, owner: Any, client_for: Login
) -> None:
    member = join(brand, Role.VIEWER)
    theirs = client_for(member)
    theirs.get(f"/b/{brand.slug}/")
    before = theirs.session.session_key
    with scope(brand):
        row = Membership.objects.get(user=member)
    client_for(owner).post(f"/b/{brand.slug}/team/members/{row.pk}/role/", {"role": "admin"})
    assert role_of(brand, member) == "admin"
    assert theirs.get(f"/b/{brand.slug}/settings/").status_code == 200
    assert theirs.session.session_key != before
    again = theirs.session.session_key
    theirs.get(f"/b/{brand.slug}/settings/")
    assert theirs.session.session_key == again  # once


def test_a_removed_member_is_a_stranger_at_once(brand: Any, owner: Any, client_for: Login) -> None:
    member = join(brand, Role.MEMBER)
    theirs = client_for(member)
    assert theirs.get(f"/b/{brand.slug}/").status_code == 200
    with scope(brand):
        row = Membership.objects.get(user=member)
    client_for(owner).post(f"/b/{brand.slug}/team/members/{row.pk}/remove/")
    assert theirs.get(f"/b/{brand.slug}/").status_code == 404


def test_every_change_is_journaled(brand: Any, owner: Any) -> None:
    from auditlog.models import LogEntry

    member = join(brand, Role.VIEWER)
    with scope(brand):
        row = Membership.objects.get(user=member)
        team.change_role(row, role=Role.MEMBER, actor=owner)
        team.remove(row, actor=owner)
        team.invite(email="bob@example.test", role=Role.MEMBER, actor=owner)
    rows = LogEntry.objects.filter(additional_data__brand=brand.pk, actor=owner).order_by("pk")
    events = [(e.additional_data["event"], e.changes) for e in rows]
    assert ("membership.role_changed", {"role": ["viewer", "member"]}) in events
    assert ("membership.ended", {"role": ["member", None]}) in events
    assert (
        "invitation.created",
        {"email": [None, "bob@example.test"], "role": [None, "member"]},
    ) in events
