"""What a set of lines comes to: the discounts in their order, then tax, to the minor unit.

    total = subtotal - discounts + exclusive tax        (inclusive tax is inside the amounts)

A discount is worked out on the sum of the lines that it covers and then spread over them, so that
the lines' parts always add up to it; no line goes below zero. Tax is worked out line by line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sandbox.stripe.money import whole
from sandbox.stripe.store import Obj


@dataclass(frozen=True)
class Discount:
    """What a redeemed coupon takes off in one currency: a percentage, or minor units."""

    id: str
    percent: Decimal | None = None
    amount: int = 0
    products: frozenset[str] | None = None

    def covers(self, line: Obj) -> bool:
        if not line["discountable"]:
            return False
        return self.products is None or _product(line) in self.products

    def off(self, base: int) -> int:
        return min(base, self.amount if self.percent is None else share_of(base, self.percent))


@dataclass(frozen=True)
class Tax:
    """One rate for all lines, in percent, and why it is that much. A tax rate is an object at
    Stripe: one for prices without the tax, one for prices with it."""

    exclusive: str
    inclusive: str
    percent: Decimal
    reason: str


def rate(lines: Sequence[Obj], discounts: Sequence[Discount], tax: Tax | None) -> None:
    """Writes discount_amounts and taxes on every line. Safe to repeat."""
    left = [line["amount"] for line in lines]
    for line in lines:
        line |= {"discount_amounts": [], "pretax_credit_amounts": [], "taxes": []}
    for discount in discounts:
        covered = [n for n, row in enumerate(lines) if left[n] > 0 and discount.covers(row)]
        bases = [left[n] for n in covered]
        parts = spread(discount.off(sum(bases)), bases)
        for n, part in zip(covered, parts, strict=True):
            left[n] -= part
            entry = {"amount": part, "discount": discount.id}
            lines[n]["discount_amounts"].append(entry)
            lines[n]["pretax_credit_amounts"].append({**entry, "type": "discount"})
    if tax is not None:
        for line, base in zip(lines, left, strict=True):
            line["taxes"] = [_taxed(base, tax, line["_tax_behavior"])]


def totals(lines: Sequence[Obj], discounts: Sequence[Discount]) -> Obj:
    """The sums of rated lines, by the names that an invoice gives them."""
    subtotal = sum(line["amount"] for line in lines)
    off: list[Obj] = [
        {"amount": sum(_off(line, discount.id) for line in lines), "discount": discount.id}
        for discount in discounts
    ]
    taxes = _summed(lines)
    exclusive = sum(t["amount"] for t in taxes if t["tax_behavior"] == "exclusive")
    total = subtotal - sum(entry["amount"] for entry in off) + exclusive
    return {
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - sum(_inside(line) for line in lines),
        "total": total,
        "total_excluding_tax": total - sum(entry["amount"] for entry in taxes),
        "total_discount_amounts": off,
        "total_pretax_credit_amounts": [{**entry, "type": "discount"} for entry in off],
        "total_taxes": taxes,
    }


def net(line: Obj) -> int:
    """A line's amount after its discounts."""
    off: int = sum(entry["amount"] for entry in line["discount_amounts"])
    return int(line["amount"]) - off


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in proportion to the weights, in whole units: the largest remainders round up. No
    part exceeds its weight while the total doesn't exceed their sum."""
    whole_weight = sum(weights)
    if not whole_weight:
        return [0 for _ in weights]
    parts = [total * weight // whole_weight for weight in weights]
    by_remainder = sorted(
        range(len(weights)), key=lambda n: total * weights[n] % whole_weight, reverse=True
    )
    for n in by_remainder[: total - sum(parts)]:
        parts[n] += 1
    return parts


def share_of(amount: int, percent: Decimal) -> int:
    return whole(Decimal(amount) * percent / 100)


def _taxed(base: int, tax: Tax, behaviour: str) -> Obj:
    inside = behaviour == "inclusive"
    amount = included(base, tax.percent) if inside else share_of(base, tax.percent)
    return {
        "amount": amount,
        "tax_behavior": "inclusive" if inside else "exclusive",
        "tax_rate_details": {"tax_rate": tax.inclusive if inside else tax.exclusive},
        "taxability_reason": tax.reason,
        "taxable_amount": base - amount if inside else base,
        "type": "tax_rate_details",
        "_percent": str(tax.percent),
    }


def included(amount: int, percent: Decimal) -> int:
    """The tax inside an amount that includes it."""
    return whole(Decimal(amount) * percent / (100 + percent))


def _inside(line: Obj) -> int:
    """The inclusive tax of a line before discounts."""
    return sum(
        included(line["amount"], Decimal(entry["_percent"]))
        for entry in line["taxes"]
        if entry["tax_behavior"] == "inclusive"
    )


def _summed(lines: Sequence[Obj]) -> list[Obj]:
    sums: dict[tuple[str, str], Obj] = {}
    for line in lines:
        for entry in line["taxes"]:
            key = (entry["tax_rate_details"]["tax_rate"], entry["tax_behavior"])
            held = sums.setdefault(key, {**entry, "amount": 0, "taxable_amount": 0})
            held["amount"] += entry["amount"]
            held["taxable_amount"] += entry["taxable_amount"]
    return list(sums.values())


def _off(line: Obj, discount: str) -> int:
    return sum(e["amount"] for e in line["discount_amounts"] if e["discount"] == discount)


def _product(line: Obj) -> str | None:
    details = (line["pricing"] or {}).get("price_details") or {}
    product: str | None = details.get("product")
    return product
