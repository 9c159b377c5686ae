"""Invoices on paper: their lines and their sums. What happens to them is in billing.py."""

from sandbox.stripe import discounts, rating, taxes, usage
from sandbox.stripe.context import Tx
from sandbox.stripe.resources import prices
from sandbox.stripe.store import Obj, new_id


def line(
    tx: Tx, *, amount: int, currency: str, description: str, period: tuple[int, int], quantity: int,
    price: Obj | None = None, item: Obj | None = None, proration: bool = False,
) -> Obj:  # fmt: skip
    """One invoice line. With an item it belongs to that subscription item."""
    parent = None
    if item is not None:
        details = tx.part(
            "billing_bill_resource_invoicing_lines_parents_invoice_line_item_subscription_item_parent",
            proration=proration,
            subscription=item["subscription"],
            subscription_item=item["id"],
        )
        parent = {
            "type": "subscription_item_details",
            "subscription_item_details": details,
            "invoice_item_details": None,
        }
    return tx.part("line_item") | {
        "id": new_id("line_item"),
        "object": "line_item",
        "amount": amount,
        "currency": currency,
        "description": description,
        "discount_amounts": [],
        "discountable": not proration,
        "discounts": [],
        "livemode": False,
        "metadata": {},
        "parent": parent,
        "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [],
        "pricing": _pricing(price, currency) if price else None,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subscription": item["subscription"] if item else None,
        "subtotal": amount,
        "taxes": [],
        "_tax_behavior": prices.tax_behavior(price, currency) if price else "unspecified",
    }


def add_up(tx: Tx, invoice: Obj) -> None:
    """Usage, discounts, tax and sums of a draft, from its lines. Safe to repeat."""
    rows = invoice["lines"]["data"]
    for row in rows:
        if "_usage" in row:
            row.update(usage.counted(tx, row))
    held = [tx.get("discount", identifier) for identifier in invoice["discounts"]]
    effects = [discounts.effect(tx, discount, invoice["currency"]) for discount in held]
    rating.rate(rows, effects, taxes.of_invoice(tx, invoice))
    invoice |= rating.totals(rows, effects)
    invoice["amount_due"] = invoice["amount_remaining"] = max(invoice["total"], 0)


def _pricing(price: Obj, currency: str) -> Obj:
    unit = format(prices.unit_amount(price, currency).normalize(), "f")
    return {
        "type": "price_details",
        "price_details": {"price": price["id"], "product": price["product"]},
        "unit_amount_decimal": None if price["billing_scheme"] == "tiered" else unit,
    }


# What every new invoice says alike. Lists are made anew for each.
_UNPAID = {
    "account_country": taxes.SELLER,
    "account_name": "Harbor Sandbox",
    "amount_overpaid": 0,
    "amount_paid": 0,
    "amount_paid_off_stripe": 0,
    "amount_shipping": 0,
    "attempt_count": 0,
    "attempted": False,
    "auto_advance": True,
    "collection_method": "charge_automatically",
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "starting_balance": 0,
    "status": "draft",
    "_subscription": None,
}
_LISTS = ("customer_tax_ids", "default_tax_rates", "discounts")
_SUMS = ("amount_due", "amount_remaining", "subtotal", "total")


def blank(tx: Tx, customer: Obj, currency: str, reason: str, period: tuple[int, int]) -> Obj:
    """The fields of an invoice that has not been finalized, before `add_up`."""
    return {
        **_UNPAID,
        **{name: [] for name in _LISTS},
        **dict.fromkeys(_SUMS, 0),
        "automatic_tax": tx.part("automatic_tax", enabled=False),
        "billing_reason": reason,
        "currency": currency,
        "customer": customer["id"],
        "issuer": {"type": "self"},
        "metadata": {},
        "payment_settings": tx.part("invoices_payment_settings"),
        "period_start": period[0],
        "period_end": period[1],
        "status_transitions": tx.part("invoices_resource_status_transitions"),
    }
