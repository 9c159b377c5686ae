"""Automatic tax: how much, for whom, and where it is said. The seller is in Germany."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.box import DECLINED, GOOD, Box, shown
from tests.sandbox.stripe.test_stripe_invoices import halfway, item

ON: Any = {"enabled": True}


def resident(box: Box, country: str, **more: Any) -> stripe.Customer:
    address = {"country": country, **more.pop("address", {})}
    return box.customer(address=address, **more)


def subscribe(
    box: Box, customer: stripe.Customer, amount: int = 10_000, currency: str = "eur", **price: Any
) -> stripe.Invoice:
    params: Any = {
        "customer": customer.id,
        "items": [{"price": box.price(amount, currency, **price).id}],
        "automatic_tax": ON,
    }
    subscription = box.v1.subscriptions.create(params)
    [invoice] = box.invoices(subscription.id)
    return invoice


def sums(invoice: stripe.Invoice) -> tuple[int, int, int | None, str]:
    [tax] = invoice.total_taxes or []
    return invoice.total, tax.amount, invoice.total_excluding_tax, tax.taxability_reason


@pytest.mark.parametrize(
    ("country", "state", "expected"),
    [
        ("DE", None, (11_900, 1900, 10_000, "standard_rated")),
        ("FR", None, (12_000, 2000, 10_000, "standard_rated")),
        ("IE", None, (12_300, 2300, 10_000, "standard_rated")),
        ("GB", None, (12_000, 2000, 10_000, "standard_rated")),
        ("CH", None, (10_810, 810, 10_000, "standard_rated")),
        ("JP", None, (11_000, 1000, 10_000, "standard_rated")),
        ("US", "WA", (10_650, 650, 10_000, "standard_rated")),
        ("US", "OR", (10_000, 0, 10_000, "not_collecting")),
        ("AU", None, (10_000, 0, 10_000, "not_collecting")),
    ],
)
def test_tax_goes_on_top_by_where_the_customer_is(
    box: Box, country: str, state: str | None, expected: tuple[int, int, int, str]
) -> None:
    address = {"state": state} if state else {}
    invoice = subscribe(box, resident(box, country, address=address), tax_behavior="exclusive")
    assert sums(invoice) == expected
    assert invoice.subtotal == 10_000
    assert invoice.amount_paid == expected[0]
    assert invoice.automatic_tax.status == "complete"


def test_tax_can_be_in_the_price(box: Box) -> None:
    invoice = subscribe(box, resident(box, "DE"), tax_behavior="inclusive")
    assert sums(invoice) == (10_000, 1597, 8403, "standard_rated")
    assert (invoice.subtotal, invoice.subtotal_excluding_tax) == (10_000, 8403)
    [line] = invoice.lines.data
    [tax] = line.taxes or []
    assert (tax.amount, tax.taxable_amount, tax.tax_behavior) == (1597, 8403, "inclusive")
    assert tax.tax_rate_details is not None
    rate = box.v1.tax_rates.retrieve(str(tax.tax_rate_details.tax_rate))
    assert (rate.percentage, rate.country, rate.inclusive) == (19, "DE", True)


def test_yen_have_no_fractions(box: Box) -> None:
    invoice = subscribe(box, resident(box, "JP"), 995, "jpy", tax_behavior="inclusive")
    assert sums(invoice) == (995, 90, 905, "standard_rated")
    added = subscribe(box, resident(box, "JP"), 995, "jpy", tax_behavior="exclusive")
    assert sums(added) == (1095, 100, 995, "standard_rated")


def test_a_discount_comes_off_before_the_tax(box: Box) -> None:
    off = box.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    params: Any = {
        "customer": resident(box, "DE").id,
        "items": [{"price": box.price(10_000, "eur", tax_behavior="exclusive").id}],
        "automatic_tax": ON,
        "discounts": [{"coupon": off.id}],
    }
    [invoice] = box.invoices(box.v1.subscriptions.create(params).id)
    assert sums(invoice) == (5950, 950, 5000, "standard_rated")


@pytest.mark.parametrize(
    ("country", "kind", "value", "reason"),
    [
        ("FR", "eu_vat", "FR12345678901", "reverse_charge"),
        ("DE", "eu_vat", "DE123456789", "standard_rated"),
        ("FR", "eu_vat", "DE123456789", "standard_rated"),
        ("GB", "gb_vat", "GB123456789", "standard_rated"),
        ("CH", "ch_vat", "CHE-123.456.788 TVA", "standard_rated"),
    ],
)
def test_an_eu_business_abroad_owes_the_tax_itself(
    box: Box, country: str, kind: str, value: str, reason: str
) -> None:
    customer = resident(box, country, tax_id_data=[{"type": kind, "value": value}])
    invoice = subscribe(box, customer)
    assert sums(invoice)[3] == reason
    assert (invoice.total == 10_000) == (reason == "reverse_charge")
    [shown_id] = invoice.customer_tax_ids or []
    assert (shown_id.type, shown_id.value) == (kind, value)


def test_an_exempt_customer_pays_none(box: Box) -> None:
    assert sums(subscribe(box, resident(box, "DE", tax_exempt="exempt")))[3] == "customer_exempt"
    assert sums(subscribe(box, resident(box, "DE", tax_exempt="reverse")))[3] == "reverse_charge"


def test_ids_are_looked_up(box: Box) -> None:
    customer = resident(box, "FR", name="Ada SARL")
    values = {
        "FR00000000000": "verified",
        "FR11111111111": "unverified",
        "FR22222222222": "pending",
    }
    made = {
        value: box.v1.customers.tax_ids.create(customer.id, {"type": "eu_vat", "value": value})
        for value in values
    }
    assert {str(found.verification and found.verification.status) for found in made.values()} == {
        "pending"
    }
    box.wait(60)
    for value, status in values.items():
        found = box.v1.customers.tax_ids.retrieve(customer.id, made[value].id)
        assert found.verification is not None
        assert (found.country, found.verification.status) == ("FR", status)
    assert len(box.events("customer.tax_id.updated")) == 2

    kept = made["FR11111111111"].id
    for found in made.values():
        if found.id != kept:
            box.v1.customers.tax_ids.delete(customer.id, found.id)
    assert [row.id for row in box.v1.customers.tax_ids.list(customer.id).data] == [kept]
    owner: Any = {"type": "customer", "customer": customer.id}
    assert [row.id for row in box.v1.tax_ids.list({"owner": owner}).data] == [kept]
    assert box.v1.tax_ids.list().data == []
    assert sums(subscribe(box, customer))[3] == "standard_rated"


@pytest.mark.parametrize(
    ("kind", "value"), [("eu_vat", "FRANCE-1"), ("eu_vat", "US1234567"), ("jp_trn", "1234")]
)
def test_an_id_of_the_wrong_form_is_refused(box: Box, kind: Any, value: str) -> None:
    customer = resident(box, "FR")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        box.v1.customers.tax_ids.create(customer.id, {"type": kind, "value": value})
    assert refusal.value.code == "tax_id_invalid"


def test_without_an_address_there_is_no_automatic_tax(box: Box) -> None:
    customer = box.customer()
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        subscribe(box, customer)
    assert refusal.value.code == "customer_tax_location_invalid"
    expanded = box.v1.customers.retrieve(customer.id, {"expand": ["tax"]})
    assert expanded.tax is not None
    assert expanded.tax.automatic_tax == "unrecognized_location"


def test_a_move_within_the_draft_hour_counts(box: Box) -> None:
    customer = resident(box, "DE")
    first = subscribe(box, customer, tax_behavior="exclusive")
    assert first.parent is not None
    assert first.parent.subscription_details is not None
    subscription = box.subscription(str(first.parent.subscription_details.subscription))
    box.wait_until(subscription["items"].data[0].current_period_end)
    assert box.invoices(subscription.id)[-1].total == 11_900
    box.v1.customers.update(customer.id, {"address": {"country": "FR"}})
    box.wait(3600)
    moved = box.invoices(subscription.id)[-1]
    assert (moved.status, moved.total) == ("paid", 12_000)
    box.v1.customers.update(customer.id, {"address": ""})
    box.wait_until(box.subscription(subscription.id)["items"].data[0].current_period_end + 3600)
    lost = box.invoices(subscription.id)[-1]
    assert (lost.total, lost.automatic_tax.enabled) == (10_000, False)
    assert lost.automatic_tax.disabled_reason == "finalization_requires_location_inputs"


def test_a_credit_takes_its_tax_along_and_a_preview_says_so(box: Box) -> None:
    customer = resident(box, "DE")
    first = subscribe(box, customer, 1000, tax_behavior="exclusive")
    subscription = box.v1.subscriptions.list({"customer": customer.id}).data[0]
    assert first.total == 1190
    halfway(box, subscription)
    dearer = box.price(2000, "eur", name="Growth", tax_behavior="exclusive")
    change: Any = {
        "items": [{"id": item(subscription), "price": dearer.id}],
        "proration_behavior": "always_invoice",
        "proration_date": box.now,
    }
    preview = box.v1.invoices.create_preview(
        {"subscription": subscription.id, "subscription_details": change}
    )
    box.v1.subscriptions.update(subscription.id, change)
    made = box.invoices(subscription.id)[-1]
    assert made.total == preview.total == 595
    assert [[tax.amount for tax in line.taxes or []] for line in made.lines.data] == [[-95], [190]]


def test_a_preview_can_suppose_an_address_and_a_tax_id(box: Box) -> None:
    price = box.price(10_000, "eur", tax_behavior="exclusive")
    customer = box.customer()
    params: Any = {
        "customer": customer.id,
        "subscription_details": {"items": [{"price": price.id}]},
        "automatic_tax": ON,
        "customer_details": {"address": {"country": "FR"}},
    }
    assert box.v1.invoices.create_preview(params).total == 12_000
    params["customer_details"]["tax_ids"] = [{"type": "eu_vat", "value": "FR12345678901"}]
    assert box.v1.invoices.create_preview(params).total == 10_000
    assert box.v1.customers.retrieve(customer.id).address is None
    assert box.v1.customers.tax_ids.list(customer.id).data == []


def taxed_checkout(box: Box, customer: str | None, **more: Any) -> stripe.checkout.Session:
    price = box.price(10_000, "eur", tax_behavior="exclusive")
    params: dict[str, Any] = {"automatic_tax": ON, "tax_id_collection": {"enabled": True}, **more}
    if customer:
        params |= {"customer": customer, "customer_update": {"address": "auto", "name": "auto"}}
    return box.checkout(price.id, **params)


def test_the_payer_sees_the_tax_before_paying_it(box: Box) -> None:
    customer = box.customer(card=None)
    session = taxed_checkout(box, customer.id, billing_address_collection="required")
    url = str(session.url)
    assert session.automatic_tax.status == "requires_location_inputs"
    for label in ("Country", "Postal code", "Tax ID", "Business name"):
        assert label in shown(box.http.get(url))
    assert "Enter your address" in shown(box.pay(session))
    street = {"country": "FR", "line1": "1 rue A", "postal_code": "75001", "city": "Paris"}

    typed = {"name": "Ada Martin", "total": "10000", "action": "update"}
    page = box.http.post(url, data={**street, **typed})
    assert page.status_code == 200
    assert 'value="Ada Martin"' in page.text
    assert "€120.00" in shown(page)
    assert "€20.00" in shown(page)
    business = {"tax_id_type": "eu_vat", "tax_id": "FR12345678901", "business_name": "Ada SARL"}
    changed = box.pay(session, **street, **business, total="12000")
    assert "The total has changed." in shown(changed)
    assert box.pay(session, DECLINED, **street, **business).status_code == 402
    assert box.pay(session, GOOD, **street, **business, total="10000").status_code == 303

    done = box.v1.checkout.sessions.retrieve(session.id, {"expand": ["invoice"]})
    assert isinstance(done.invoice, stripe.Invoice)
    assert sums(done.invoice) == (10_000, 0, 10_000, "reverse_charge")
    assert done.customer_details is not None
    assert done.customer_details.tax_ids is not None
    assert [row.value for row in done.customer_details.tax_ids] == ["FR12345678901"]
    saved = box.v1.customers.retrieve(customer.id, {"expand": ["tax_ids"]})
    assert (saved.name, saved.address and saved.address.country) == ("Ada SARL", "FR")
    assert saved.tax_ids is not None
    assert len(saved.tax_ids.data) == 1


def test_one_post_with_an_address_pays_the_tax(box: Box) -> None:
    session = taxed_checkout(box, None)
    assert box.pay(session, country="DE", email="ada@example.test").status_code == 303
    done = box.v1.checkout.sessions.retrieve(session.id, {"expand": ["total_details.breakdown"]})
    assert (done.amount_total, done.amount_subtotal) == (11_900, 10_000)
    assert done.total_details is not None
    assert done.total_details.breakdown is not None
    [tax] = done.total_details.breakdown.taxes
    assert (tax.amount, tax.rate.percentage) == (1900, 19)
    assert [charge.amount for charge in box.v1.charges.list().data] == [11_900]


def test_an_id_of_the_wrong_form_stops_the_payment(box: Box) -> None:
    session = taxed_checkout(box, None)
    answer = box.pay(session, country="FR", tax_id="FRANCE-1", tax_id_type="eu_vat")
    assert "Invalid value for eu_vat." in shown(answer)
    assert box.v1.charges.list().data == []


def test_an_existing_customer_must_be_open_to_updates(box: Box) -> None:
    customer, price = box.customer(card=None), box.price(10_000, "eur")
    with pytest.raises(stripe.InvalidRequestError, match="customer_update\\[address\\]"):
        box.checkout(price.id, customer=customer.id, automatic_tax=ON)
    with pytest.raises(stripe.InvalidRequestError, match="customer_update\\[name\\]"):
        box.checkout(price.id, customer=customer.id, tax_id_collection={"enabled": True})


def test_the_account_says_how_it_is_taxed(box: Box) -> None:
    settings = box.v1.tax.settings.retrieve()
    assert settings.head_office is not None
    assert (settings.status, settings.head_office.address.country) == ("active", "DE")
    assert settings.defaults.tax_behavior == "exclusive"
