"""The catalog at Stripe: every difference is told before anything is changed."""

from __future__ import annotations

import dataclasses
import io
import sys
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing import catalog, catalog_sync
from tests.billing.conftest import Stripe

pytestmark = pytest.mark.usefixtures("catalog")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def become(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    plan = dataclasses.replace(catalog.PLANS["leads_starter"], **fields)
    monkeypatch.setitem(catalog.PLANS, "leads_starter", plan)


def product(stripe: Stripe) -> dict[str, Any]:
    [found] = [one for one in stripe.objects("products") if one["id"] == "harbor_leads_starter"]
    return found


def test_a_currency_that_a_price_lacks_is_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    prices = catalog.PLANS["leads_starter"].prices
    become(monkeypatch, prices={**prices, "cad": 6_500})
    diff = catalog_sync.diff()
    assert diff.changes == []
    key = catalog.PLANS["leads_starter"].lookup_key("month")
    assert f"{key} has no cad at Stripe: raise the plan's version" in diff.conflicts
    with pytest.raises(CommandError):
        call_command("sync_catalog", stdout=io.StringIO(), stderr=io.StringIO())


def test_currencies_that_stripe_does_not_tell_are_no_conflict() -> None:
    wanted = catalog_sync._prices_of(catalog.PLANS["leads_starter"])[0]
    untold = {**wanted.params, "currency_options": None}
    assert catalog_sync._conflict(wanted, {wanted.params["lookup_key"]: untold}) == []


def test_a_product_gets_its_new_name_and_keeps_its_prices(
    stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = len(stripe.objects("prices"))
    for name in ("Beginner", "First", "Beginner"):
        become(monkeypatch, name=name, tagline=f"{name} of all")
        said = io.StringIO()
        call_command("sync_catalog", stdout=said)
        [line] = said.getvalue().splitlines()
        assert line.startswith("~ product harbor_leads_starter: name 'Harbor ")
        assert f"becomes 'Harbor {name}', description" in line
        found = product(stripe)
        assert (found["name"], found["description"]) == (f"Harbor {name}", f"{name} of all")
        assert catalog_sync.diff() == catalog_sync.Diff([], [])
    assert len(stripe.objects("prices")) == prices


@pytest.mark.parametrize(("answer", "renamed"), [("n", False), ("", False), ("y", True)])
def test_at_a_terminal_it_asks_when_all_was_shown(
    stripe: Stripe, monkeypatch: pytest.MonkeyPatch, answer: str, renamed: bool
) -> None:
    become(monkeypatch, name="Beginner")
    said = Terminal()

    def ask(_: str) -> str:
        assert "Harbor Beginner" in said.getvalue()
        assert product(stripe)["name"] == "Harbor Starter"
        return answer

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("builtins.input", ask)
    if renamed:
        call_command("sync_catalog", stdout=said)
    else:
        with pytest.raises(CommandError, match="Nothing was changed"):
            call_command("sync_catalog", stdout=said)
    assert (product(stripe)["name"] == "Harbor Beginner") == renamed


def test_everything_is_shown_before_the_first_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key in ("leads_starter", "leads_growth"):
        plan = dataclasses.replace(catalog.PLANS[key], name=f"New {key}")
        monkeypatch.setitem(catalog.PLANS, key, plan)
    said, shown = io.StringIO(), []
    monkeypatch.setattr(catalog_sync, "apply", lambda _: shown.append(said.getvalue()))
    call_command("sync_catalog", "--yes", stdout=said)
    assert len(shown) == 2
    assert all("New leads_starter" in one and "New leads_growth" in one for one in shown)
    call_command("sync_catalog", "--dry-run", stdout=said)
    assert len(shown) == 2
