"""Stripe Tax: on at Checkout, with the customer's place and tax id, and shown on every invoice."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from billing import catalog, catalog_sync, changes, checkout
from billing.models import Invoice
from saas.tenancy import scope
from tests.billing.conftest import Stripe

pytestmark = pytest.mark.usefixtures("catalog")


def subscribe(brand: Any, owner: Any, stripe: Stripe, currency: str = "eur", **place: str) -> Any:
    url = checkout.start(brand=brand, plan="leads_starter", currency=currency, actor=owner)
    total = {"total": place.pop("total", "4500")}
    answer = stripe.pay(url, **place, **total)
    assert answer.status_code == 303, answer.text
    stripe.deliver()
    with scope(brand):
        return Invoice.objects.get()


def page(brand: Any, owner: Any) -> str:
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    return client.get(f"/b/{brand.slug}/billing/").content.decode()


GERMANY = {"country": "DE", "state": "", "postal_code": "10115", "city": "Berlin"}


def test_tax_is_added_by_the_customers_country(brand: Any, owner: Any, stripe: Stripe) -> None:
    invoice = subscribe(brand, owner, stripe, **GERMANY, total="5355")
    assert (invoice.total, invoice.tax, invoice.reverse_charge) == (5_355, 855, False)
    assert "€8.55" in page(brand, owner)
    shown = changes.preview(brand=brand, plan="leads_growth", interval="month", seats=None)
    assert shown.following.minor == 13_900 + 2_641
    assert any(line.text == "Tax" for line in shown.lines)
    changes.change(brand=brand, promise=shown.promise, actor=owner)
    stripe.deliver()
    with scope(brand):
        newest = Invoice.objects.order_by("-issued_at", "-pk").first()
    assert newest.total == shown.today.minor
    assert newest.tax > 0


JAPAN = {"country": "JP", "state": "", "postal_code": "100-0001", "city": "Tokyo"}


def test_a_yen_price_holds_its_tax(brand: Any, owner: Any, stripe: Stripe) -> None:
    price = catalog.PLANS["leads_starter"].price("month", "jpy")
    invoice = subscribe(brand, owner, stripe, "jpy", **JAPAN, total=str(price))
    assert (invoice.total, invoice.tax) == (price, round(price * 10 / 110))
    assert "with tax" in page(brand, owner)
    shown = changes.preview(brand=brand, plan="leads_growth", interval="month", seats=None)
    assert shown.following.minor == catalog.PLANS["leads_growth"].price("month", "jpy")
    assert sum(line.amount.minor for line in shown.lines) == shown.today.minor
    changes.change(brand=brand, promise=shown.promise, actor=owner)
    stripe.deliver()
    with scope(brand):
        newest = Invoice.objects.order_by("-issued_at", "-pk").first()
    assert newest.total == shown.today.minor
    assert newest.tax > 0


def test_the_sync_sees_a_price_whose_tax_is_another(
    stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert catalog_sync.diff().conflicts == []
    monkeypatch.setattr(catalog, "TAX_INCLUDED", ())
    said = catalog_sync.diff().conflicts
    assert (
        len(said)
        == sum("jpy" in plan.prices for plan in catalog.on_sale() for _ in plan.intervals) + 1
    )
    assert "inclusive jpy at Stripe and exclusive here" in said[0]


def test_a_business_abroad_owes_the_tax_itself(brand: Any, owner: Any, stripe: Stripe) -> None:
    place = {"country": "FR", "state": "", "postal_code": "75001", "city": "Paris"}
    number = {"tax_id_type": "eu_vat", "tax_id": "FRAB123456789", "business_name": "Atelier SARL"}
    invoice = subscribe(brand, owner, stripe, **place, **number)
    assert (invoice.total, invoice.tax, invoice.reverse_charge) == (4_500, 0, True)
    assert invoice.tax_ids == "FRAB123456789"
    assert "Reverse charge" in page(brand, owner)


def test_without_stripe_tax_prices_stand(
    brand: Any, owner: Any, stripe: Stripe, settings: Any
) -> None:
    settings.STRIPE_TAX = False
    invoice = subscribe(brand, owner, stripe, **GERMANY)
    assert (invoice.total, invoice.tax) == (4_500, 0)
