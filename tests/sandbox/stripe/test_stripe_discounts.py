"""Coupons, promotion codes and discounts: who gets what off, how long, and on which lines."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.box import DAY, DECLINED, Box, shown
from tests.sandbox.stripe.test_stripe_invoices import amounts, halfway, item

HOUR = 3600


def coupon(box: Box, **params: Any) -> stripe.Coupon:
    return box.v1.coupons.create({"duration": "forever", **params})  # type: ignore[typeddict-item]


def code(box: Box, of: stripe.Coupon, **params: Any) -> stripe.PromotionCode:
    promotion: Any = {"type": "coupon", "coupon": of.id}
    return box.v1.promotion_codes.create({"promotion": promotion, **params})  # type: ignore[typeddict-item]


def totals(box: Box, subscription: str) -> list[int]:
    return [invoice.total for invoice in box.invoices(subscription)]


def renew(box: Box, subscription: str) -> None:
    row = box.subscription(subscription)["items"].data[0]
    box.wait_until(row.current_period_end + HOUR)


def test_a_percentage_comes_off_every_invoice(box: Box) -> None:
    off = coupon(box, percent_off=25)
    subscription = box.subscribe(amount=4900, discounts=[{"coupon": off.id}])
    [first] = box.invoices(subscription.id)
    assert (first.subtotal, first.total, first.amount_paid) == (4900, 3675, 3675)
    [entry] = first.total_discount_amounts or []
    assert entry.amount == 1225
    assert entry.discount == subscription.discounts[0]
    assert [e.amount for e in first.lines.data[0].discount_amounts or []] == [1225]
    renew(box, subscription.id)
    assert totals(box, subscription.id) == [3675, 3675]
    expanded = box.v1.subscriptions.retrieve(
        subscription.id, {"expand": ["discounts.source.coupon"]}
    )
    [discount] = expanded.discounts
    assert isinstance(discount, stripe.Discount)
    assert isinstance(discount.source.coupon, stripe.Coupon)
    assert (discount.source.coupon.percent_off, discount.subscription) == (25, subscription.id)
    assert box.v1.coupons.retrieve(off.id).times_redeemed == 1


def test_three_months_are_three_invoices(box: Box) -> None:
    off = coupon(box, amount_off=1000, currency="usd", duration="repeating", duration_in_months=3)
    subscription = box.subscribe(amount=4900, discounts=[{"coupon": off.id}])
    for _ in range(4):
        renew(box, subscription.id)
    assert totals(box, subscription.id) == [3900, 3900, 3900, 4900, 4900]
    assert box.subscription(subscription.id).discounts == []
    assert len(box.events("customer.discount.deleted")) == 1


def test_once_is_the_first_invoice_that_costs_something(box: Box) -> None:
    off = coupon(box, percent_off=50, duration="once")
    subscription = box.subscribe(amount=4900, discounts=[{"coupon": off.id}], trial_period_days=7)
    assert len(box.subscription(subscription.id).discounts) == 1
    renew(box, subscription.id)
    renew(box, subscription.id)
    assert totals(box, subscription.id) == [0, 2450, 4900]


def test_a_discount_never_pays_the_customer(box: Box) -> None:
    off = coupon(box, amount_off=9000, currency="usd", duration="once")
    subscription = box.subscribe(amount=4900, discounts=[{"coupon": off.id}])
    [invoice] = box.invoices(subscription.id)
    assert (invoice.total, invoice.status) == (0, "paid")
    assert box.v1.customers.retrieve(str(subscription.customer)).balance == 0


def test_discounts_stack_in_their_order(box: Box) -> None:
    fifth = coupon(box, percent_off=20)
    five = coupon(box, amount_off=500, currency="usd")
    subscription = box.subscribe(
        amount=10_000, discounts=[{"coupon": fifth.id}, {"coupon": five.id}]
    )
    [invoice] = box.invoices(subscription.id)
    assert [entry.amount for entry in invoice.total_discount_amounts or []] == [2000, 500]
    assert invoice.total == 7500
    other = box.subscribe(amount=10_000, discounts=[{"coupon": five.id}, {"coupon": fifth.id}])
    assert totals(box, other.id) == [7600]


def test_an_amount_is_spread_over_the_lines_to_the_last_yen(box: Box) -> None:
    off = coupon(
        box, amount_off=1000, currency="usd", currency_options={"jpy": {"amount_off": 100}}
    )
    items: Any = [{"price": box.price(999, "jpy", name=name).id} for name in "abc"]
    params: Any = {"customer": box.customer().id, "items": items, "discounts": [{"coupon": off.id}]}
    subscription = box.v1.subscriptions.create(params)
    [invoice] = box.invoices(subscription.id)
    parts = [line.discount_amounts[0].amount for line in invoice.lines.data]  # type: ignore[index]
    assert sorted(parts) == [33, 33, 34]
    assert invoice.total == 3 * 999 - 100


def test_a_coupon_for_one_product_leaves_the_others_alone(box: Box) -> None:
    leads, vpn = box.price(4000), box.price(1000, name="VPN")
    off = coupon(box, percent_off=50, applies_to={"products": [str(vpn.product)]})
    items: Any = [{"price": leads.id}, {"price": vpn.id}]
    params: Any = {"customer": box.customer().id, "items": items, "discounts": [{"coupon": off.id}]}
    [invoice] = box.invoices(box.v1.subscriptions.create(params).id)
    assert invoice.total == 4500
    assert "applies_to" not in box.v1.coupons.retrieve(off.id)
    whole = box.v1.coupons.retrieve(off.id, {"expand": ["applies_to"]})
    assert whole.applies_to is not None
    assert whole.applies_to.products == [vpn.product]


def test_what_was_paid_with_a_discount_is_credited_with_it(box: Box) -> None:
    off = coupon(box, percent_off=50)
    subscription = box.subscribe(amount=1000, discounts=[{"coupon": off.id}])
    halfway(box, subscription)
    change: Any = {
        "items": [{"id": item(subscription), "price": box.price(2000, name="Growth").id}],
        "proration_behavior": "always_invoice",
        "proration_date": box.now,
    }
    preview = box.v1.invoices.create_preview(
        {"subscription": subscription.id, "subscription_details": change}
    )
    box.v1.subscriptions.update(subscription.id, change)
    made = box.invoices(subscription.id)[-1]
    assert sorted(amounts(made)) == sorted(amounts(preview)) == [-250, 500]
    assert made.total == preview.total == 250
    renew(box, subscription.id)
    assert totals(box, subscription.id) == [500, 250, 1000]


def test_what_was_free_is_not_credited(box: Box) -> None:
    off = coupon(box, percent_off=100, duration="once")
    subscription = box.subscribe(amount=1000, discounts=[{"coupon": off.id}])
    halfway(box, subscription)
    box.v1.subscriptions.cancel(subscription.id, {"prorate": True, "invoice_now": True})
    assert totals(box, subscription.id) == [0]
    assert box.v1.customers.retrieve(str(subscription.customer)).balance == 0


def test_a_discount_can_be_previewed_given_later_and_taken_back(box: Box) -> None:
    subscription = box.subscribe(amount=4900)
    off = coupon(box, percent_off=10)
    entries: Any = [{"coupon": off.id}]
    preview = box.v1.invoices.create_preview(
        {"subscription": subscription.id, "discounts": entries}
    )
    assert preview.total == 4410
    assert box.v1.coupons.retrieve(off.id).times_redeemed == 0

    box.v1.subscriptions.update(subscription.id, {"discounts": entries})
    assert box.v1.invoices.create_preview({"subscription": subscription.id}).total == 4410
    assert box.v1.subscriptions.delete_discount(subscription.id).deleted is True
    assert box.v1.invoices.create_preview({"subscription": subscription.id}).total == 4900
    box.v1.subscriptions.update(subscription.id, {"discounts": entries})
    box.v1.subscriptions.update(subscription.id, {"discounts": ""})
    renew(box, subscription.id)
    assert totals(box, subscription.id) == [4900, 4900]


def test_a_coupon_ends_by_count_by_date_and_by_deletion(box: Box) -> None:
    counted = coupon(box, percent_off=10, max_redemptions=1)
    box.subscribe(discounts=[{"coupon": counted.id}])
    dated = coupon(box, percent_off=10, redeem_by=box.now + DAY)
    box.wait(DAY)
    for gone in (counted, dated):
        assert box.v1.coupons.retrieve(gone.id).valid is False
        with pytest.raises(stripe.InvalidRequestError, match="Coupon expired") as refusal:
            box.subscribe(discounts=[{"coupon": gone.id}])
        assert refusal.value.code == "coupon_expired"

    kept = coupon(box, percent_off=10)
    subscription = box.subscribe(amount=1000, discounts=[{"coupon": kept.id}])
    assert box.v1.coupons.delete(kept.id).deleted is True
    with pytest.raises(stripe.InvalidRequestError, match="No such coupon"):
        box.subscribe(discounts=[{"coupon": kept.id}])
    renew(box, subscription.id)
    assert totals(box, subscription.id)[-1] == 900


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, None),
        ({"percent_off": 10, "amount_off": 5, "currency": "usd"}, None),
        ({"percent_off": 101}, "percent_off"),
        ({"amount_off": 100}, "currency"),
        ({"percent_off": 5, "duration": "repeating"}, "duration_in_months"),
    ],
)
def test_what_a_coupon_needs(box: Box, params: dict[str, Any], param: str | None) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        coupon(box, **params)
    assert refusal.value.param == param


def test_an_amount_in_another_currency_is_refused(box: Box) -> None:
    off = coupon(box, amount_off=500, currency="eur")
    with pytest.raises(stripe.InvalidRequestError, match="takes off eur, not usd"):
        box.subscribe(discounts=[{"coupon": off.id}])
    assert box.v1.coupons.retrieve(off.id).times_redeemed == 0


def test_codes_are_found_by_their_spelling_and_are_one_of_a_kind(box: Box) -> None:
    off = coupon(box, percent_off=10)
    spring = code(box, off, code="Spring")
    found = box.v1.promotion_codes.list({"code": "SPRING"}).data
    assert [entry.id for entry in found] == [spring.id]
    assert spring.promotion.coupon == off.id
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        code(box, off, code="spring")
    box.v1.promotion_codes.update(spring.id, {"active": False})
    assert code(box, off, code="SPRING").active is True


def test_a_code_keeps_its_restrictions(box: Box) -> None:
    off = coupon(box, percent_off=10)
    limits: Any = {
        "first_time_transaction": True,
        "minimum_amount": 4000,
        "minimum_amount_currency": "usd",
        "currency_options": {"jpy": {"minimum_amount": 5000}},
    }
    first = code(box, off, code="FIRST", restrictions=limits)
    for amount, says in ((3999, "below \\$40.00"), (4900, None)):
        if says is None:
            subscription = box.subscribe(amount=amount, discounts=[{"promotion_code": first.id}])
            assert totals(box, subscription.id) == [4410]
            again: Any = {
                "customer": subscription.customer,
                "items": [{"price": box.price(9900).id}],
                "discounts": [{"promotion_code": first.id}],
            }
            with pytest.raises(stripe.InvalidRequestError, match="prior transactions"):
                box.v1.subscriptions.create(again)
        else:
            with pytest.raises(stripe.InvalidRequestError, match=says):
                box.subscribe(amount=amount, discounts=[{"promotion_code": first.id}])
    options = box.v1.promotion_codes.retrieve(
        first.id, {"expand": ["restrictions.currency_options"]}
    ).restrictions.currency_options
    assert options is not None
    assert options["jpy"].minimum_amount == 5000
    assert box.v1.promotion_codes.retrieve(first.id).times_redeemed == 1


def test_a_code_ends_by_count_and_by_date(box: Box) -> None:
    off = coupon(box, percent_off=10)
    single = code(box, off, max_redemptions=1)
    dated = code(box, off, expires_at=box.now + DAY)
    mine = code(box, off, customer=box.customer().id)
    box.subscribe(discounts=[{"promotion_code": single.id}])
    box.wait(DAY)
    for gone in (single, dated):
        assert box.v1.promotion_codes.retrieve(gone.id).active is False
        with pytest.raises(stripe.InvalidRequestError, match="not active"):
            box.subscribe(discounts=[{"promotion_code": gone.id}])
    with pytest.raises(stripe.InvalidRequestError, match="another customer"):
        box.subscribe(discounts=[{"promotion_code": mine.id}])


def test_checkout_takes_what_the_merchant_gives_off(box: Box) -> None:
    off = coupon(box, percent_off=20, name="Launch")
    session = box.checkout(box.price(4900).id, discounts=[{"coupon": off.id}])
    assert (session.amount_subtotal, session.amount_total) == (4900, 3920)
    assert "$39.20" in shown(box.http.get(str(session.url)))
    assert box.v1.coupons.retrieve(off.id).times_redeemed == 0
    box.pay(session)
    done = box.v1.checkout.sessions.retrieve(
        session.id,
        {"expand": ["subscription", "total_details.breakdown", "line_items.data.discounts"]},
    )
    assert isinstance(done.subscription, stripe.Subscription)
    assert totals(box, done.subscription.id) == [3920]
    assert done.total_details is not None
    assert done.total_details.amount_discount == 980
    assert done.total_details.breakdown is not None
    assert done.total_details.breakdown.discounts[0].amount == 980
    assert done.line_items is not None
    assert done.line_items.data[0].discounts[0].amount == 980  # type: ignore[index]
    assert box.v1.coupons.retrieve(off.id).times_redeemed == 1


def test_the_payer_enters_a_code(box: Box) -> None:
    code(box, coupon(box, percent_off=50, duration="once"), code="HALF", max_redemptions=1)
    price = box.price(4900).id
    customers = [box.customer(card=None) for _ in range(2)]
    session = box.checkout(price, customer=customers[0].id, allow_promotion_codes=True)
    url = str(session.url)
    assert "Promotion code" in shown(box.http.get(url))
    wrong = box.http.post(url, data={"promotion_code": "HELF", "action": "update"})
    assert "This code is invalid." in shown(wrong)

    applied = box.http.post(url, data={"promotion_code": "half", "action": "update"})
    assert (applied.status_code, "$24.50" in shown(applied)) == (200, True)
    assert box.v1.charges.list().data == []
    assert box.pay(session, DECLINED, promotion_code="half").status_code == 402
    assert box.pay(session, promotion_code="half", total="2450").status_code == 303
    assert [charge.amount for charge in box.v1.charges.list().data if charge.paid] == [2450]

    late = box.checkout(price, customer=customers[1].id, allow_promotion_codes=True)
    assert "This code is invalid." in shown(box.pay(late, promotion_code="HALF"))
    assert box.pay(late).status_code == 303


def test_a_total_that_the_payer_did_not_see_is_not_charged(box: Box) -> None:
    code(box, coupon(box, percent_off=50), code="HALF")
    session = box.checkout(
        box.price(4900).id, customer=box.customer(card=None).id, allow_promotion_codes=True
    )
    answer = box.pay(session, promotion_code="HALF", total="4900")
    assert "The total has changed." in shown(answer)
    assert box.v1.charges.list().data == []


def test_a_field_for_codes_and_a_given_discount_exclude_each_other(box: Box) -> None:
    off = coupon(box, percent_off=20)
    with pytest.raises(stripe.InvalidRequestError, match="only specify one of these"):
        box.checkout(box.price().id, discounts=[{"coupon": off.id}], allow_promotion_codes=True)


def test_what_this_sandbox_does_not_do_it_refuses(box: Box) -> None:
    off = coupon(box, percent_off=20)
    items: Any = [{"price": box.price().id, "discounts": [{"coupon": off.id}]}]
    with pytest.raises(stripe.InvalidRequestError, match="does not do `discounts`"):
        box.v1.subscriptions.create({"customer": box.customer().id, "items": items})
