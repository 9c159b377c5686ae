"""Customers' tax ids, the account's tax settings, and the rates that automatic tax uses.

An EU or UK id is `pending` for a few seconds and then verified; one that ends in 111111111 is not,
and one that ends in 222222222 stays pending. Nobody is asked: the format is all that is checked.
"""

import re

from sandbox.stripe import taxes
from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError, missing
from sandbox.stripe.registry import Params, given, on_timer, page, route
from sandbox.stripe.resources import customers
from sandbox.stripe.store import Obj

LOOKED_UP = ("eu_vat", "gb_vat")
VERIFY_AFTER = 10
UNFOUND, SLOW = "111111111", "222222222"
FORMATS = {
    "eu_vat": rf"({'|'.join(sorted(taxes.EU - {'GR'} | {'EL', 'XI'}))})[A-Z0-9+*]{{2,12}}",
    "gb_vat": r"(GB)?(\d{9}|\d{12})",
    "ch_vat": r"CHE-?\d{3}\.?\d{3}\.?\d{3} ?(MWST|TVA|IVA)",
    "ch_uid": r"CHE-?\d{3}\.?\d{3}\.?\d{3}",
    "jp_cn": r"\d{13}",
    "jp_rn": r"\d{5}",
    "jp_trn": r"T\d{13}",
    "us_ein": r"\d{2}-\d{7}",
}


@route("POST", "/v1/customers/{customer}/tax_ids")
def create(tx: Tx, params: Params, customer: str) -> Obj:
    return add(tx, customers.existing(tx, customer), params["type"], params["value"])


@route("GET", "/v1/customers/{customer}/tax_ids/{id}")
def retrieve(tx: Tx, params: Params, customer: str, identifier: str) -> Obj:
    found = tx.get("tax_id", identifier)
    if found["customer"] != customer:
        raise missing("tax_id", identifier)
    return found


@route("DELETE", "/v1/customers/{customer}/tax_ids/{id}")
def delete(tx: Tx, params: Params, customer: str, identifier: str) -> Obj:
    found = retrieve(tx, params, customer, identifier)
    tx.unschedule(found)
    tx.emit("customer.tax_id.deleted", found)
    tx.store.run("DELETE FROM objects WHERE id = ?", identifier)
    return {"id": identifier, "object": "tax_id", "deleted": True}


@route("GET", "/v1/customers/{customer}/tax_ids")
def index(tx: Tx, params: Params, customer: str) -> Obj:
    customers.existing(tx, customer)
    url = f"/v1/customers/{customer}/tax_ids"
    return page(tx, "tax_id", params, url, customer=customer)


@route("GET", "/v1/tax_ids/{id}")
def retrieve_any(tx: Tx, params: Params, identifier: str) -> Obj:
    return tx.get("tax_id", identifier)


@route("GET", "/v1/tax_ids")
def index_any(tx: Tx, params: Params) -> Obj:
    """A customer's ids; the account itself has none here."""
    owner = params.get("owner", {"type": "self"})
    return page(tx, "tax_id", params, "/v1/tax_ids", customer=owner.get("customer", ""))


@route("GET", "/v1/tax_rates/{tax_rate}")
def retrieve_rate(tx: Tx, params: Params, tax_rate: str) -> Obj:
    return tx.get("tax_rate", tax_rate)


@route("GET", "/v1/tax_rates")
def index_rates(tx: Tx, params: Params) -> Obj:
    return page(tx, "tax_rate", params, "/v1/tax_rates", **given(params, "active", "inclusive"))


@route("GET", "/v1/tax/settings")
def settings(tx: Tx, params: Params) -> Obj:
    return {
        "object": "tax.settings",
        "defaults": {
            "provider": "stripe",
            "tax_behavior": "exclusive",
            "tax_code": "txcd_10103001",
        },
        "head_office": {"address": tx.part("address", country=taxes.SELLER)},
        "livemode": False,
        "status": "active",
        "status_details": {"active": {}},
    }


@on_timer("tax_id.verify")
def verify(tx: Tx, tax_id: Obj) -> None:
    found = not tax_id["value"].endswith(UNFOUND)
    with tx.changing(tax_id, "customer.tax_id.updated"):
        tax_id["verification"] |= {
            "status": "verified" if found else "unverified",
            "verified_name": tx.get("customer", tax_id["customer"])["name"] if found else None,
        }


def add(tx: Tx, customer: Obj, kind: str, value: str) -> Obj:
    """Gives the customer the id; one that the customer has already is answered again."""
    check(kind, value)
    for held in taxes.ids_of(tx, customer):
        if (held["type"], held["value"]) == (kind, value):
            return held
    status = "pending" if kind in LOOKED_UP else "unavailable"
    made = tx.new(
        "tax_id",
        country=_country(kind, value),
        customer=customer["id"],
        owner={"type": "customer", "customer": customer["id"]},
        type=kind,
        value=value,
        verification=tx.part("tax_id_verification", status=status),
    )
    if status == "pending" and not value.endswith(SLOW):
        tx.schedule(made, "tax_id.verify", tx.now + VERIFY_AFTER)
    tx.emit("customer.tax_id.created", made)
    return made


def check(kind: str, value: str) -> None:
    if not re.fullmatch(FORMATS.get(kind, r".{2,}"), value):
        raise StripeError(f"Invalid value for {kind}.", code="tax_id_invalid", param="value")


def _country(kind: str, value: str) -> str:
    if kind != "eu_vat":
        return kind[:2].upper()
    return {"EL": "GR", "XI": "GB"}.get(value[:2], value[:2])
