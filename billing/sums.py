"""What invoices that Stripe previews take from the card: their total, less the customer's credit.

Stripe keeps credit on the customer's balance and uses it up with the next invoices; `amount_due` is
what is left to charge. A balance above zero is owed from before, and is charged with the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from billing import gateway
from saas.money import Money


@dataclass(frozen=True)
class Line:
    text: str
    amount: Money


def charged(settled: gateway.Object | None, following: gateway.Object) -> dict[str, Any]:
    """Return the sums of a `changes.Preview`: of today's invoice, if any, and of the next. Pure."""
    then = next_charge(following, settled)
    return {
        "today": today(settled) if settled else Money(0, then.currency),
        "lines": lines(settled) if settled else [],
        "following": then,
        "credit_used": Money(following["total"], then.currency) - then,
    }


def today(invoice: gateway.Object) -> Money:
    """What an invoice charges now; below zero what it adds to the credit. Pure."""
    due, total = invoice["amount_due"], invoice["total"]
    return Money(total if total < 0 and not due else due, invoice["currency"])


def next_charge(invoice: gateway.Object, before: gateway.Object | None) -> Money:
    """What the next invoice charges, after one that is settled today, if there is one. Pure.

    Each is previewed by itself, with the balance of now; what today uses up is gone by then.
    """
    due = invoice["amount_due"]
    if before:
        left = before["starting_balance"] + before["total"] - before["amount_due"]
        due = max(invoice["total"] + left, 0)
    return Money(due, invoice["currency"])


def lines(invoice: gateway.Object) -> list[Line]:
    """The lines of today's invoice; they come to what `today` says. Pure."""
    currency = invoice["currency"]
    found = [
        Line(line.get("description") or "", Money(line["amount"], currency))
        for line in invoice["lines"]["data"]
    ]
    discount = sum(one["amount"] for one in invoice.get("total_discount_amounts") or [])
    taxes = invoice.get("total_taxes") or []
    tax = sum(one["amount"] for one in taxes if one.get("tax_behavior") != "inclusive")
    balance = today(invoice).minor - invoice["total"]
    if discount:
        found.append(Line("Discount", Money(-discount, currency)))
    if tax:
        found.append(Line("Tax", Money(tax, currency)))
    if balance:
        found.append(
            Line("Your credit" if balance < 0 else "From before", Money(balance, currency))
        )
    return found
