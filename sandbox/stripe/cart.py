"""What a Checkout session comes to: discounts and tax by the rules of invoices."""

from collections.abc import Sequence

from sandbox.stripe import discounts, documents, rating
from sandbox.stripe.context import Tx, public
from sandbox.stripe.errors import StripeError
from sandbox.stripe.resources import promotion_codes
from sandbox.stripe.store import Obj

BAD_CODE = "This code is invalid."


def add_up(tx: Tx, session: Obj) -> None:
    """Writes amounts on the session and its items. On trial only what is due today counts."""
    rows, currency = session["_line_items"], session["currency"]
    lines = [_line(tx, row, currency) for row in rows]
    held = session["_discounts"]
    rating.rate(lines, [discounts.effect(tx, discount, currency) for discount in held], None)
    for row, line in zip(rows, lines, strict=True):
        _price(row, line, held)
    due = [row for row in rows if not (session["_trial"] and row["price"]["type"] == "recurring")]
    session |= {
        "amount_subtotal": sum(row["amount_subtotal"] for row in due) if rows else None,
        "amount_total": sum(row["amount_total"] for row in due) if rows else None,
        "total_details": {
            "amount_discount": sum(row["amount_discount"] for row in due),
            "amount_shipping": 0,
            "amount_tax": sum(row["amount_tax"] for row in due),
            "_breakdown": {"discounts": _by_discount(due, held), "taxes": []},
        },
    }
    tx.store.save(session)


def discount(tx: Tx, session: Obj, entries: Sequence[Obj], customer: Obj | None) -> None:
    """Has the session take the entries off. Nothing is redeemed before it is paid."""
    session["_discounts"] = discounts.chosen(
        tx,
        entries,
        customer=customer,
        currency=session["currency"],
        subtotal=sum(row["amount_subtotal"] for row in session["_line_items"]),
    )
    session["_entries"] = [dict(entry) for entry in entries]
    session["discounts"] = [
        {"coupon": held["source"]["coupon"], "promotion_code": held["promotion_code"]}
        for held in session["_discounts"]
    ]


def enter_code(tx: Tx, session: Obj, word: str) -> str | None:
    """The payer's code; an empty one takes it back. Answers why not, when it can't be used."""
    if session.get("_begun"):
        return "The code can't be changed after an attempt to pay."
    if not session["allow_promotion_codes"]:
        return BAD_CODE
    code = promotion_codes.by_word(tx, word) if word else None
    if word and code is None:
        return BAD_CODE
    customer = tx.get("customer", session["customer"]) if session["customer"] else None
    try:
        discount(tx, session, [{"promotion_code": code["id"]}] if code else [], customer)
    except StripeError as error:
        return str(error)
    session["_word"] = word
    add_up(tx, session)
    return None


def _line(tx: Tx, row: Obj, currency: str) -> Obj:
    price = tx.get("price", row["price"]["id"])
    return documents.line(
        tx, amount=row["amount_subtotal"], currency=currency, description=row["description"],
        period=(tx.now, tx.now), quantity=row["quantity"], price=price,
    )  # fmt: skip


def _price(row: Obj, line: Obj, held: Sequence[Obj]) -> None:
    by_id = {found["id"]: public(found) for found in held}
    off = [{**entry, "discount": by_id[entry["discount"]]} for entry in line["discount_amounts"]]
    taxes = [entry["amount"] for entry in line["taxes"] if entry["tax_behavior"] == "exclusive"]
    row |= {
        "amount_discount": sum(entry["amount"] for entry in off),
        "amount_tax": sum(entry["amount"] for entry in line["taxes"]),
        "amount_total": rating.net(line) + sum(taxes),
        "_discounts": off,
        "_taxes": [],
    }


def _by_discount(rows: Sequence[Obj], held: Sequence[Obj]) -> list[Obj]:
    entries = [entry for row in rows for entry in row["_discounts"]]
    return [
        {
            "amount": sum(e["amount"] for e in entries if e["discount"]["id"] == found["id"]),
            "discount": public(found),
        }
        for found in held
    ]
