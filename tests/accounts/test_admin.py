"""The console: second factor for staff, and a journal entry for whatever they change."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from auditlog.models import LogEntry
from django.contrib.auth import get_user_model
from django.test import Client, RequestFactory, override_settings

from accounts.models import Membership
from saas.tenancy import everyone, scope
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss() -> Any:
    return make_user(email="boss@example.test", is_staff=True, is_superuser=True)


def log_in(user: Any, *, second_factor: bool) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    if second_factor:
        Authenticator.objects.get_or_create(user=user, type="totp", defaults={"data": {}})
        request = RequestFactory().get("/")
        request.session = client.session
        record_authentication(request, user, "mfa", type="totp")
        request.session.save()
    return client


@pytest.fixture
def console(boss: Any) -> Client:
    return log_in(boss, second_factor=True)


def test_without_a_second_factor_the_console_stays_shut(boss: Any) -> None:
    client = log_in(boss, second_factor=False)
    assert client.get("/admin/").url == "/admin/login/?next=/admin/"
    answer = client.get("/admin/login/?next=/admin/accounts/user/")
    assert answer.url == "/accounts/2fa/?next=%2Fadmin%2Faccounts%2Fuser%2F"


def test_a_factor_that_this_session_did_not_use_is_asked_for(boss: Any) -> None:
    log_in(boss, second_factor=True)
    client = log_in(boss, second_factor=False)
    answer = client.get("/admin/login/?next=/admin/")
    assert answer.url == "/accounts/2fa/reauthenticate/?next=%2Fadmin%2F"


def test_with_it_the_console_opens(console: Client) -> None:
    assert console.get("/admin/").status_code == 200
    assert console.get("/admin/login/?next=/admin/accounts/user/").url == "/admin/accounts/user/"


@override_settings(DEBUG=True)
def test_under_debug_a_password_is_enough(boss: Any) -> None:
    assert log_in(boss, second_factor=False).get("/admin/").status_code == 200


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:x"])
def test_the_login_never_sends_one_elsewhere(console: Client, target: str) -> None:
    assert console.get("/admin/login/", {"next": target}).url == "/admin/"
    assert "evil" not in Client().get("/admin/login/", {"next": target}).url


def test_a_customer_is_refused_and_a_stranger_sent_to_the_one_login(owner: Any) -> None:
    assert log_in(owner, second_factor=True).get("/admin/login/").status_code == 403
    assert Client().get("/admin/login/").url == "/accounts/login/?next=%2Fadmin%2F"


def test_every_list_opens(console: Client, brand: Any) -> None:
    from django.contrib import admin

    for model in admin.site._registry:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert console.get(path).status_code == 200, path
        assert console.get(path, {"q": "x"}).status_code == 200, path


def test_a_change_needs_a_reason_and_is_journaled(console: Client, brand: Any, boss: Any) -> None:
    path = f"/admin/accounts/brand/{brand.pk}/change/"
    form = {"name": "Renamed", "email": brand.email, "time_zone": "UTC"}
    refused = console.post(path, form)
    assert refused.status_code == 200
    assert "This field is required" in refused.content.decode()
    assert console.post(path, form | {"reason": "the customer asked"}).status_code == 302
    entry = LogEntry.objects.get(additional_data__event="brand.changed_by_staff")
    assert entry.actor == boss
    assert entry.additional_data["reason"] == "the customer asked"
    assert entry.additional_data["brand"] == brand.pk
    assert entry.changes == {"name": [brand.name, "Renamed"]}
    assert entry.remote_addr == "127.0.0.1"


def test_a_change_of_access_is_journaled_and_renews_their_sessions(
    console: Client, brand: Any
) -> None:
    member = make_user()
    with scope(brand):
        row = Membership.objects.create(user=member, role="viewer")
    path = f"/admin/accounts/membership/{row.pk}/change/"
    assert console.post(path, {"role": "admin", "reason": "ticket 12"}).status_code == 302
    entry = LogEntry.objects.get(additional_data__event="membership.changed_by_staff")
    assert entry.changes == {"role": ["viewer", "admin"]}
    member.refresh_from_db()
    assert member.privileges_changed_at


def test_the_last_owner_can_not_be_demoted_in_the_console(console: Client, brand: Any) -> None:
    with scope(brand):
        row = Membership.objects.get()
    path = f"/admin/accounts/membership/{row.pk}/change/"
    answer = console.post(path, {"role": "viewer", "reason": "a slip"})
    assert answer.status_code == 200
    assert "needs an owner" in answer.content.decode()


def test_nobody_gives_rights_to_themselves(console: Client, boss: Any) -> None:
    boss.is_superuser = True
    path = f"/admin/accounts/user/{boss.pk}/change/"
    assert 'name="is_superuser"' not in console.get(path).content.decode()


def test_staff_without_all_rights_can_not_make_staff(boss: Any, owner: Any) -> None:
    from django.contrib.auth.models import Permission

    helper = make_user(is_staff=True)
    helper.user_permissions.set(Permission.objects.filter(codename__endswith="_user"))
    client = log_in(helper, second_factor=True)
    path = f"/admin/accounts/user/{owner.pk}/change/"
    assert client.get(path).status_code == 200
    form = {"name": "N", "time_zone": "", "is_active": "on", "is_staff": "on", "reason": "x"}
    client.post(path, form)
    owner.refresh_from_db()
    assert owner.name == "N"
    assert not owner.is_staff


def test_no_page_shows_what_opens_an_account(console: Client, boss: Any, owner: Any) -> None:
    from allauth.usersessions.models import UserSession

    session = UserSession.objects.create(
        user=owner, ip="127.0.0.1", session_key="a-very-secret-session-key", user_agent="x"
    )
    factor = Authenticator.objects.get(user=boss)
    for path in (
        f"/admin/usersessions/usersession/{session.pk}/change/",
        f"/admin/accounts/user/{owner.pk}/change/",
        f"/admin/mfa/authenticator/{factor.pk}/change/",
    ):
        page = console.get(path).content.decode()
        assert "a-very-secret-session-key" not in page
        assert owner.password not in page
        assert 'name="password"' not in page


def test_the_journal_is_read_only_and_filters_by_brand(console: Client, brand: Any) -> None:
    cell = '<td class="field-event">brand.created</td>'
    page = console.get("/admin/auditlog/logentry/", {"brand": brand.pk})
    assert cell in page.content.decode()
    page = console.get("/admin/auditlog/logentry/", {"brand": brand.pk + 1})
    assert cell not in page.content.decode()
    entry = LogEntry.objects.first()
    assert console.post(f"/admin/auditlog/logentry/{entry.pk}/delete/").status_code == 403
    assert console.post(f"/admin/auditlog/logentry/{entry.pk}/change/", {}).status_code == 403
    assert console.get("/admin/auditlog/logentry/add/").status_code == 403


def test_a_staff_request_sees_every_brand_only_while_it_lasts(console: Client, brand: Any) -> None:
    console.get("/admin/accounts/brand/")
    from saas.errors import Bug

    with pytest.raises(Bug):
        list(Membership.objects.all())
    with everyone("test"):
        assert get_user_model().objects.exists()
