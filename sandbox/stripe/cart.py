"""What a Checkout session comes to: discounts and tax by the rules of invoices."""

from collections.abc import Sequence

from sandbox.stripe import discounts, documents, rating, taxes
from sandbox.stripe.context import Tx, public
from sandbox.stripe.errors import StripeError
from sandbox.stripe.resources import promotion_codes, tax
from sandbox.stripe.store import Obj

ADDRESS = ("line1", "postal_code", "city", "state", "country")
BAD_CODE = "This code is invalid."


def add_up(tx: Tx, session: Obj) -> None:
    """Writes amounts on the session and its items. On trial only what is due today counts."""
    rows, currency = session["_line_items"], session["currency"]
    lines = [_line(tx, row, currency) for row in rows]
    held = session["_discounts"]
    effects = [discounts.effect(tx, discount, currency) for discount in held]
    rating.rate(lines, effects, _tax(tx, session))
    for row, line in zip(rows, lines, strict=True):
        _price(tx, row, line, held)
    due = [row for row in rows if not (session["_trial"] and row["price"]["type"] == "recurring")]
    session |= {
        "amount_subtotal": sum(row["amount_subtotal"] for row in due) if rows else None,
        "amount_total": sum(row["amount_total"] for row in due) if rows else None,
        "total_details": {
            "amount_discount": sum(row["amount_discount"] for row in due),
            "amount_shipping": 0,
            "amount_tax": sum(row["amount_tax"] for row in due),
            "_breakdown": {"discounts": _by_discount(due, held), "taxes": _by_rate(due)},
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


def asks_address(session: Obj) -> bool:
    required: bool = session["billing_address_collection"] == "required"
    return required or bool(session["automatic_tax"]["enabled"])


def asks_tax_id(session: Obj) -> bool:
    return bool(session.get("tax_id_collection", {}).get("enabled"))


def enter_party(tx: Tx, session: Obj, form: dict[str, str]) -> str | None:
    """Who pays and where; answers what is missing or wrong. What was charged stays as it was."""
    before = (session.get("_address"), session["_tax_ids"])
    if asks_address(session) and form.get("country"):
        session["_address"] = tx.part("address") | {
            name: form[name].strip() for name in ADDRESS if form.get(name, "").strip()
        }
    if asks_tax_id(session) and "tax_id" in form:
        value = form["tax_id"].strip()
        kind = form.get("tax_id_type") or "eu_vat"
        session["_business"] = form.get("business_name", "").strip()
        try:
            if value:
                tax.check(kind, value)
        except StripeError as error:
            return str(error)
        session["_tax_ids"] = [{"type": kind, "value": value}] if value else []
    if session.get("_begun") and before != (session.get("_address"), session["_tax_ids"]):
        return "The address can't be changed after an attempt to pay."
    add_up(tx, session)
    return None


def lacks(session: Obj) -> str | None:
    """What still keeps the session from being paid."""
    if session["automatic_tax"]["status"] == "requires_location_inputs":
        return "Enter your address: the tax depends on it."
    if session["billing_address_collection"] == "required":
        entered = session.get("_address") or {}
        if not (entered.get("country") and entered.get("line1")):
            return "Your billing address is incomplete."
    return None


def write_down(tx: Tx, session: Obj, customer: Obj, *, new: bool) -> None:
    """Puts on the customer what the payer said, as far as the merchant allows."""
    updates = session["_customer_update"]
    with tx.changing(customer, None if new else "customer.updated"):
        if session.get("_address") and (new or updates.get("address") == "auto"):
            customer["address"] = session["_address"]
        if session.get("_business") and (new or updates.get("name") == "auto"):
            customer["name"] = session["_business"]
    for entry in session["_tax_ids"]:
        tax.add(tx, customer, entry["type"], entry["value"])


def _tax(tx: Tx, session: Obj) -> rating.Tax | None:
    """The tax by the address that the payer's invoice will have."""
    setting = session["automatic_tax"]
    if not setting["enabled"]:
        return None
    customer = tx.get("customer", session["customer"]) if session["customer"] else {}
    updates = not customer or session["_customer_update"].get("address") == "auto"
    address = (session.get("_address") if updates else None) or customer.get("address")
    ids = session["_tax_ids"] + (taxes.ids_of(tx, customer) if customer else [])
    found = taxes.of(address, customer.get("tax_exempt"), ids)
    setting |= {
        "provider": "stripe",
        "status": "complete" if found else "requires_location_inputs",
    }
    return found


def _line(tx: Tx, row: Obj, currency: str) -> Obj:
    price = tx.get("price", row["price"]["id"])
    return documents.line(
        tx, amount=row["amount_subtotal"], currency=currency, description=row["description"],
        period=(tx.now, tx.now), quantity=row["quantity"] or 0, price=price,
    )  # fmt: skip


def _price(tx: Tx, row: Obj, line: Obj, held: Sequence[Obj]) -> None:
    by_id = {found["id"]: public(found) for found in held}
    off = [{**entry, "discount": by_id[entry["discount"]]} for entry in line["discount_amounts"]]
    taxes = [entry["amount"] for entry in line["taxes"] if entry["tax_behavior"] == "exclusive"]
    row |= {
        "amount_discount": sum(entry["amount"] for entry in off),
        "amount_tax": sum(entry["amount"] for entry in line["taxes"]),
        "amount_total": rating.net(line) + sum(taxes),
        "_discounts": off,
        "_taxes": [_as_item(tx, entry) for entry in line["taxes"]],
    }


def _as_item(tx: Tx, entry: Obj) -> Obj:
    rate = tx.get("tax_rate", entry["tax_rate_details"]["tax_rate"])
    names = ("amount", "taxability_reason", "taxable_amount")
    return {"rate": public(rate), **{name: entry[name] for name in names}}


def _by_rate(rows: Sequence[Obj]) -> list[Obj]:
    sums: dict[str, Obj] = {}
    for row in rows:
        for entry in row["_taxes"]:
            held = sums.setdefault(entry["rate"]["id"], {**entry, "amount": 0, "taxable_amount": 0})
            held["amount"] += entry["amount"]
            held["taxable_amount"] += entry["taxable_amount"]
    return list(sums.values())


def _by_discount(rows: Sequence[Obj], held: Sequence[Obj]) -> list[Obj]:
    entries = [entry for row in rows for entry in row["_discounts"]]
    return [
        {
            "amount": sum(e["amount"] for e in entries if e["discount"]["id"] == found["id"]),
            "discount": public(found),
        }
        for found in held
    ]
