"""A brand's scope sees that brand and nothing else, whatever came before on the connection."""

from __future__ import annotations

import threading

import pytest
from django.db import ProgrammingError, connection, transaction

from accounts.models import Brand, Membership
from saas.errors import Bug
from saas.tenancy import current_brand, everyone, scope
from tests.factories import make_brand

pytestmark = pytest.mark.django_db


def seen() -> set[int]:
    """The brands whose memberships the connection can see now, asked without any filter."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT brand_id FROM accounts_membership")
        return {row[0] for row in cursor.fetchall()}


def test_a_scope_sees_its_own_brand_only() -> None:
    ours, theirs = make_brand(), make_brand()
    with scope(ours):
        assert seen() == {ours.pk}
        assert current_brand() == ours.pk
    with scope(theirs):
        assert seen() == {theirs.pk}


def test_outside_of_every_scope_there_is_nothing() -> None:
    make_brand()
    assert seen() == set()
    with pytest.raises(Bug, match="outside of scope"):
        Membership.objects.count()


def test_everyone_sees_all_and_a_scope_inside_narrows() -> None:
    ours, theirs = make_brand(), make_brand()
    with everyone("test"):
        assert seen() >= {ours.pk, theirs.pk}
        with scope(ours):
            assert set(Membership.objects.values_list("brand_id", flat=True)) == {ours.pk}
        assert set(Membership.objects.values_list("brand_id", flat=True)) >= {ours.pk, theirs.pk}
    assert seen() == set()


def test_one_transaction_never_mixes_tenants() -> None:
    ours, theirs = make_brand(), make_brand()
    with scope(ours):
        with pytest.raises(Bug, match="inside the scope"), scope(theirs):
            pass
        with pytest.raises(Bug, match="inside the scope"), everyone("test"):
            pass
        with scope(ours):
            assert seen() == {ours.pk}
        assert seen() == {ours.pk}


def test_writing_into_another_brand_is_refused_by_postgresql() -> None:
    ours, theirs = make_brand(), make_brand()
    with scope(ours):
        membership = Membership.objects.get()
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            Membership._base_manager.filter(pk=membership.pk).update(brand=theirs)
        assert Membership._base_manager.filter(brand=theirs).update(role="viewer") == 0
        assert Brand._base_manager.filter(pk=theirs.pk).delete()[0] == 0


def test_a_failed_scope_leaves_no_sight_behind() -> None:
    brand = make_brand()
    with pytest.raises(ZeroDivisionError), scope(brand):
        _ = 1 / 0
    assert seen() == set()
    assert current_brand() is None


def test_a_row_made_in_a_scope_belongs_to_its_brand() -> None:
    brand = make_brand()
    with scope(brand):
        assert Membership(role="viewer").brand_id == brand.pk


def test_a_thread_inherits_no_scope() -> None:
    brand = make_brand()
    found: list[int | None] = []
    with scope(brand):
        thread = threading.Thread(target=lambda: found.append(current_brand()))
        thread.start()
        thread.join()
    assert found == [None]
