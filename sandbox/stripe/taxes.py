"""Automatic tax: one standard rate by the customer's country, as a seller in Germany who is
registered wherever the table has a rate.

A business with a VAT id of another EU country pays nothing (reverse charge); so does who is exempt,
and whoever lives where the seller is not registered. An id that was looked up and not found
(`unverified`) counts for nothing.
"""

import hashlib
from collections.abc import Iterable
from decimal import Decimal

from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError
from sandbox.stripe.rating import Tax
from sandbox.stripe.store import Obj

SELLER = "DE"
EU = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905
)
NO_TAX = Decimal(0)
# Percent by country, or by country and state: (kind, rate).
RATES = {
    "AT": ("vat", "20"), "DE": ("vat", "19"), "ES": ("vat", "21"), "FR": ("vat", "20"),
    "IE": ("vat", "23"), "IT": ("vat", "22"), "NL": ("vat", "21"), "CH": ("vat", "8.1"),
    "GB": ("vat", "20"), "JP": ("jct", "10"), "US-WA": ("sales_tax", "6.5"),
}  # fmt: skip
NAMES = {"vat": "VAT", "jct": "JCT", "sales_tax": "Sales Tax"}


def of(address: Obj | None, exempt: str | None, ids: Iterable[Obj]) -> Tax | None:
    """The tax of a sale to that place; None while the place isn't known well enough."""
    country = (address or {}).get("country")
    state = (address or {}).get("state")
    if not country or (country == "US" and not state):
        return None
    place = f"US-{state}" if country == "US" else country
    if exempt == "exempt":
        return _nothing("customer_exempt")
    if exempt == "reverse" or _reverse(country, ids):
        return _nothing("reverse_charge")
    if place not in RATES:
        return _nothing("not_collecting")
    return _tax(place, Decimal(RATES[place][1]), "standard_rated")


def of_customer(tx: Tx, customer: Obj) -> Tax | None:
    return of(customer["address"], customer["tax_exempt"], ids_of(tx, customer))


def of_invoice(tx: Tx, invoice: Obj) -> Tax | None:
    """The tax of a draft; writes on it what it was judged by. None when it isn't automatic, or
    the address isn't there yet (`requires_location_inputs`)."""
    customer = tx.get("customer", invoice["customer"])
    held = ids_of(tx, customer)
    for name in ("address", "email", "name", "phone", "tax_exempt"):
        invoice[f"customer_{name}"] = customer[name]
    invoice["customer_tax_ids"] = [{"type": row["type"], "value": row["value"]} for row in held]
    if not invoice["automatic_tax"]["enabled"]:
        return None
    tax = of(customer["address"], customer["tax_exempt"], held)
    status = "complete" if tax else "requires_location_inputs"
    invoice["automatic_tax"] |= {
        "liability": {"type": "self"},
        "provider": "stripe",
        "status": status,
    }
    return tax


def ids_of(tx: Tx, customer: Obj) -> list[Obj]:
    return tx.store.select("tax_id", customer=customer["id"])


def setting(tx: Tx, part: str, params: Obj) -> Obj:
    """`automatic_tax` of a subscription or a session, from the parameter of that name."""
    sent = params.get("automatic_tax", {})
    if sent.get("liability", {}).get("type", "self") != "self":
        raise StripeError("This sandbox has one account.", param="automatic_tax[liability]")
    enabled = sent.get("enabled", False)
    return tx.part(part, enabled=enabled, liability={"type": "self"} if enabled else None)


def require_place(tx: Tx, customer: Obj) -> None:
    if of_customer(tx, customer) is None:
        raise StripeError(
            "The customer's location isn't recognized. Set a valid customer address in order to "
            "automatically calculate tax.",
            code="customer_tax_location_invalid",
        )


def ensure_rates(tx: Tx) -> None:
    """The tax rates behind the table, there from the start."""
    places = [(place, Decimal(rate), kind) for place, (kind, rate) in RATES.items()]
    for place, percent, kind in [*places, ("", NO_TAX, "")]:
        for inclusive in (False, True):
            identifier = _rate_id(place, percent, inclusive=inclusive)
            if tx.store.find(identifier) is None:
                _add_rate(tx, identifier, place, percent, kind, inclusive=inclusive)


def _add_rate(
    tx: Tx, identifier: str, place: str, percent: Decimal, kind: str, *, inclusive: bool
) -> None:
    country, _, state = place.partition("-")
    tx.new(
        "tax_rate",
        id=identifier,
        active=False,
        country=country or None,
        display_name=NAMES.get(kind, "Tax"),
        effective_percentage=float(percent),
        inclusive=inclusive,
        jurisdiction=place or None,
        jurisdiction_level=("state" if state else "country") if place else None,
        metadata={},
        percentage=float(percent),
        rate_type="percentage",
        state=state or None,
        tax_type=kind or None,
    )


def _reverse(country: str, ids: Iterable[Obj]) -> bool:
    if country not in EU or country == SELLER:
        return False
    return any(
        row["type"] == "eu_vat"
        and not row["value"].startswith(SELLER)
        and (row.get("verification") or {}).get("status") != "unverified"
        for row in ids
    )


def _nothing(reason: str) -> Tax:
    return _tax("", NO_TAX, reason)


def _tax(place: str, percent: Decimal, reason: str) -> Tax:
    exclusive, inclusive = (_rate_id(place, percent, inclusive=side) for side in (False, True))
    return Tax(exclusive=exclusive, inclusive=inclusive, percent=percent, reason=reason)


def _rate_id(place: str, percent: Decimal, *, inclusive: bool) -> str:
    told = f"{place}:{percent}:{inclusive}"
    return f"txr_1Harbor{hashlib.sha256(told.encode()).hexdigest()[:17]}"
