"""Every URL pattern as a stranger, as a member of another brand, and in each role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Membership
from accounts.roles import PERMISSIONS, Permission, Role, allows
from saas.tenancy import scope
from tests.factories import make_brand, make_user
from tests.tenancy import walk

pytestmark = pytest.mark.django_db
Login = Callable[[Any], Client]

# Open to the world on purpose; each guards itself (signature, token, login, rate limit).
PUBLIC = {
    *("landing", "pricing", "styleguide", "styleguide_error"),
    *("health_live", "health_ready", "health_deep", "metrics"),
    *("stripe_webhook", "smartlead_webhook", "agent_desired", "agent_report"),
    *("invitation", "referral"),
}
# Of allauth: the way in, which has to be open.
ENTRANCE = {
    *("account_login", "account_logout", "account_signup", "account_inactive"),
    *("account_email_verification_sent", "account_confirm_email", "account_confirm_login_code"),
    *("account_reset_password", "account_reset_password_done", "account_reset_password_from_key"),
    *("account_reset_password_from_key_done", "mfa_authenticate", "mfa_login_webauthn"),
}


def test_the_walk_finds_the_pages() -> None:
    names = {page.pattern.name for page in walk.brand_pages()}
    assert {"overview", "team", "settings", "list", "backfills", "devices"} <= names


def test_every_brand_page_declares_its_permission() -> None:
    for page in walk.brand_pages():
        assert isinstance(getattr(page.view, "permission", None), Permission), page.route


def test_a_stranger_is_sent_to_the_login_from_every_brand_page(client: Client, brand: Any) -> None:
    for page in walk.brand_pages():
        for send in (client.get, client.post):
            answer = send(page.path(brand.slug))
            assert answer.status_code == 302, page.route
            assert answer.url.startswith("/accounts/login/?next="), page.route


def test_for_a_member_of_another_brand_no_page_exists(client_for: Login, brand: Any) -> None:
    outsider = make_user()
    make_brand(owner=outsider)
    client = client_for(outsider)
    for page in walk.brand_pages():
        for send in (client.get, client.post):
            assert send(page.path(brand.slug)).status_code == 404, page.route
            assert send(page.path("no-such-brand")).status_code == 404, page.route


@pytest.mark.parametrize("role", Role.values)
def test_a_role_opens_what_the_table_says_and_nothing_else(
    client_for: Login, brand: Any, role: str
) -> None:
    member = make_user()
    with scope(brand):
        Membership.objects.create(user=member, role=role)
    client = client_for(member)
    for page in walk.brand_pages():
        path = page.path(brand.slug)
        answer = client.get(path)
        if allows(role, page.view.permission):
            # 404 and 405: the key is of nothing, or the page only takes a POST.
            assert answer.status_code in (200, 302, 404, 405), (page.route, answer.status_code)
        else:
            assert answer.status_code == 403, page.route
            assert client.post(path).status_code == 403, page.route


def test_an_unknown_role_opens_nothing() -> None:
    assert not any(allows("janitor", permission) for permission in Permission)
    assert set(PERMISSIONS) == set(Role.values)
    assert PERMISSIONS[Role.OWNER] == set(Permission)


def test_a_staff_member_is_a_stranger_in_a_brand_too(client_for: Login, brand: Any) -> None:
    staff = make_user(is_staff=True, is_superuser=True)
    client = client_for(staff)
    for page in walk.brand_pages():
        assert client.get(page.path(brand.slug)).status_code == 404, page.route


def test_every_other_page_wants_a_login_or_is_public_on_purpose(client: Client) -> None:
    for page in walk.pages():
        name = page.pattern.name
        if page.route.startswith((walk.BRAND_ROUTE, "admin/")) or name in PUBLIC | ENTRANCE:
            continue
        assert "^" not in page.route, f"the walk can't fill {page.route}"
        answer = client.get(page.path("nothing"))
        assert answer.status_code in (302, 405), (page.route, answer.status_code)
        if answer.status_code == 302:
            assert answer.url.startswith("/accounts/login/"), (page.route, answer.url)


def test_no_admin_page_opens_for_a_stranger_or_a_customer(
    client: Client, client_for: Login, owner: Any
) -> None:
    customer = client_for(owner)
    for page in walk.pages():
        if not page.route.startswith("admin/") or "(" in page.route:  # the catch-all
            continue
        path = page.path("nothing")
        assert client.get(path).status_code == 302, page.route
        answer = customer.get(path, follow=True)
        assert answer.status_code == 403, (page.route, answer.status_code)


def test_keys_of_another_brand_are_keys_of_nothing(
    client_for: Login, brand: Any, owner: Any
) -> None:
    other = make_brand()
    with scope(other):
        theirs = Membership.objects.get()
    client = client_for(owner)
    for action in ("role", "remove"):
        answer = client.post(
            f"/b/{brand.slug}/team/members/{theirs.pk}/{action}/", {"role": "viewer"}
        )
        assert answer.status_code == 404
    with scope(other):
        assert Membership.objects.get().role == "owner"


def test_every_action_of_the_console_names_the_right_that_it_needs() -> None:
    from django.contrib import admin

    loose = [
        f"{type(page).__module__}.{type(page).__name__}.{function.__name__}"
        for page in admin.site._registry.values()
        for name in (page.actions or ())
        if callable(function := getattr(page, name) if isinstance(name, str) else name)
        and not getattr(function, "allowed_permissions", None)
    ]
    assert loose == []
