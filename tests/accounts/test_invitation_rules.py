"""Who may renew an offer, and what two offers at once become."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from accounts import team
from accounts.models import Invitation, Membership
from accounts.roles import Role
from saas.errors import Refused
from saas.tenancy import scope
from tests.factories import make_brand, make_user


@pytest.mark.django_db
def test_an_admin_cannot_renew_an_offer_of_ownership() -> None:
    owner, admin = make_user(), make_user()
    brand = make_brand(owner=owner)
    with scope(brand):
        Membership.objects.create(user=admin, role=Role.ADMIN)
        offer = team.invite(email="next@example.test", role=Role.OWNER, actor=owner)
        with pytest.raises(Refused):
            team.invite_again(offer, actor=admin)
        team.invite_again(offer, actor=owner)


def test_two_offers_to_one_address_at_once_become_one(live_db: Any) -> None:
    owner = make_user()
    brand = make_brand(owner=owner)
    outcomes: list[str] = []
    together = threading.Barrier(4)

    def offer() -> None:
        together.wait()
        try:
            with scope(brand):
                team.invite(email="twice@example.test", role=Role.VIEWER, actor=owner)
            outcomes.append("sent")
        except Refused as e:
            outcomes.append(e.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=offer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["already_invited"] * 3 + ["sent"]
    with scope(brand):
        assert Invitation.objects.count() == 1
