"""Metered usage: what meters counted for a customer between two moments (the second excluded).

An event counts by its own timestamp. A line of usage is counted again until its invoice is
finalized: what arrives in the draft hour is billed, what arrives later never is.
"""

from decimal import Decimal

from sandbox.stripe.context import Tx
from sandbox.stripe.store import Obj

ZERO = Decimal(0)


def total(tx: Tx, meter: str, customer: str, start: int, end: int) -> Decimal:
    """The meter's sum, count or last value; zero without events."""
    sql = """SELECT value FROM usage WHERE meter = ? AND customer = ? AND at >= ? AND at < ?
             ORDER BY at, seq"""
    values = [Decimal(row[0]) for row in tx.store.all(sql, meter, customer, start, end)]
    match tx.get("billing.meter", meter)["default_aggregation"]["formula"]:
        case "count":
            return Decimal(len(values))
        case "last":
            return values[-1] if values else ZERO
        case _:
            return sum(values, ZERO)


def counted(tx: Tx, line: Obj) -> Obj:
    """Quantity and amount of a line of usage, as of now. Less than nothing is billed as nothing."""
    from sandbox.stripe.resources import prices

    span = line["_usage"]
    used = max(total(tx, span["meter"], span["customer"], span["start"], span["end"]), ZERO)
    price = tx.get("price", span["price"])
    amount = prices.line_amount(price, line["currency"], used)
    return {
        "amount": amount,
        "quantity": int(used),
        "quantity_decimal": format(used.normalize(), "f") if used else "0",
        "subtotal": amount,
    }
