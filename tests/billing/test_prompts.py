"""What is said where a limit is met: the sentence, the next plan, and the way for each role."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Membership
from accounts.roles import Role
from billing import catalog, entitlements, prompts
from billing.models import BillingAccount
from saas.charts import THIN_SPACE
from saas.tenancy import scope
from tests.factories import make_user
from tests.leads.factories import lead_rows, make_connection

Login = Callable[[Any], Client]


def bill(brand: Any, **fields: Any) -> None:
    with scope(brand):
        BillingAccount.objects.update(**fields)


def said(brand: Any, limit: prompts.Limit) -> tuple[str, str, str]:
    """The sentence, the next plan with what it has, and what may be done."""
    with scope(brand):
        prompt = prompts.of(limit, entitlements.of(brand.pk))
    larger = f"{prompt.larger.name} {prompt.more}" if prompt.larger else ""
    return prompt.title, larger, prompt.wish


@pytest.mark.parametrize(
    ("plan", "limit", "title", "larger"),
    [
        ("leads_starter", "leads", ("Starter is full: it holds 25_000 leads, and you have"
         " brought in 25_000."), "Growth holds 250_000 leads"),
        ("leads_starter", "history_days", ("Messages of leads active in the last 90 days: that is"
         " how far Starter reaches."), "Growth reaches a year back"),
        ("leads_growth", "history_days", ("Messages of leads active in the last year: that is how"
         " far Growth reaches."), "Scale reaches all the way back"),
        ("leads_scale", "leads", ("Scale is full: it holds 20_000_000 leads, and you have"
         " brought in 20_000_000."), ""),
        ("vpn_solo", "connections", "VPN Solo includes no SmartLead account.",
         "Starter includes one SmartLead account"),
        ("vpn_solo", "devices", "All 3 devices of VPN Solo are in use.", "VPN Team has 15 devices"),
        ("leads_growth", "members", "Growth is for 10 people, and all places are given.",
         "Scale is for 50 people"),
    ],
)  # fmt: skip
def test_each_limit_says_what_is_met_and_what_has_more(
    brand: Any, plan: str, limit: prompts.Limit, title: str, larger: str
) -> None:
    quota = catalog.plan(plan).limits.leads
    bill(brand, plan=plan, standing="active", lead_quota=quota, leads_used=quota)
    title, larger = (text.replace("_", THIN_SPACE) for text in (title, larger))
    assert said(brand, limit) == (title, larger, "choose a larger plan" if larger else "")


def test_a_brand_that_may_take_in_nothing_is_told_why(brand: Any) -> None:
    bill(brand, trial_ends_at=timezone.now() - timedelta(days=1))
    assert said(brand, "leads") == ("Your trial has ended.", "", "choose a plan")
    bill(brand, plan="leads_starter", standing="canceled")
    assert said(brand, "connections") == ("Your subscription is not active.", "", "renew it")


@pytest.fixture
def logins(client_for: Login, brand: Any, owner: Any) -> dict[str, Client]:
    found = {"owner": client_for(owner)}
    for role in (Role.ADMIN, Role.MEMBER, Role.VIEWER):
        user = make_user()
        with scope(brand):
            Membership.objects.create(user=user, role=role)
        found[str(role)] = client_for(user)
    return found


def full(brand: Any) -> None:
    from leads.ingest import leads

    with scope(brand):
        make_connection()
        leads.merge(brand_id=brand.pk, rows=list(lead_rows(3)))
    bill(brand, lead_quota=3)


@pytest.mark.parametrize(
    ("path", "prepare", "words", "roles"),
    [
        ("leads/", full, "Free trial is full", ("owner", "admin", "member", "viewer")),
        ("leads/import/", full, "Free trial is full", ("owner", "admin", "member")),
        ("connection/", lambda b: bill(b, plan="vpn_solo", standing="active"),
         "VPN Solo includes no SmartLead account.", ("owner", "admin")),
    ],
)  # fmt: skip
def test_who_buys_gets_a_link_and_others_know_whom_to_ask(
    logins: dict[str, Client],
    brand: Any,
    path: str,
    prepare: Callable[[Any], None],
    words: str,
    roles: tuple[str, ...],
) -> None:
    before = logins["owner"].get(f"/b/{brand.slug}/{path}").content.decode()
    assert words not in before
    prepare(brand)
    for role in roles:
        page = logins[role].get(f"/b/{brand.slug}/{path}").content.decode()
        assert words in page
        asked = f"Ask an owner of {brand.name} to choose a larger plan." in page
        linked = ">Choose a larger plan</a>" in page
        assert (linked, asked) == (role == "owner", role != "owner"), role


def test_without_a_connection_in_the_plan_no_key_is_asked_for(
    logins: dict[str, Client], brand: Any
) -> None:
    bill(brand, plan="vpn_solo", standing="active")
    page = logins["owner"].get(f"/b/{brand.slug}/connection/").content.decode()
    assert 'name="api_key"' not in page
    with scope(brand):
        make_connection()  # from before: it may be mended
    page = logins["owner"].get(f"/b/{brand.slug}/connection/").content.decode()
    assert 'name="api_key"' in page
