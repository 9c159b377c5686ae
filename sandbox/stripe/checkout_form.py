"""The form on the Checkout page: code, address, tax id as far as asked for, and the card."""

from html import escape

from sandbox.stripe import cards, cart, html, taxes
from sandbox.stripe.store import Obj

COUNTRIES = sorted(taxes.EU | {"AU", "CA", "CH", "GB", "JP", "NO", "US"})
TAX_IDS = [
    ("eu_vat", "EU VAT"),
    ("gb_vat", "UK VAT"),
    ("ch_vat", "Swiss VAT"),
    ("jp_trn", "Japan registration number"),
    ("us_ein", "US EIN"),
]


def render(session: Obj, problem: str | None) -> str:
    """The form with what the payer has entered so far, and what was wrong with it."""
    choices = "".join(
        f'<label><input type="radio" name="card" value="{card.number}"'
        f"{' checked' if position == 0 else ''}><span>{escape(card.label)}</span>"
        f"<code>{card.number}</code></label>"
        for position, card in enumerate(cards.CARDS)
    )
    known, said = session["customer_email"], session.get("_entered", {})
    email = (
        ""
        if session["customer"] or known
        else html.field("email", "Email", said.get("email", ""), kind="email")
    )
    verb = {"subscription": "Subscribe", "payment": "Pay", "setup": "Save card"}[session["mode"]]
    if session["mode"] == "subscription" and session["amount_total"] == 0:
        verb = "Start trial"
    fields = (
        f'<fieldset class="field"><legend>Test card</legend><div class="cards">{choices}</div>'
        "</fieldset>"
        + html.field(
            "number", "Or another card number", hint="Leave empty to use the choice above."
        )
        + html.field("name", "Name on card", said.get("name", ""))
        + html.button(verb)
    )
    inner = html.problem(problem) + html.form("", email + _before_card(session) + fields)
    return f'<section class="panel">{inner}</section>'


def _before_card(session: Obj) -> str:
    """What changes the total, a button to see it change, and the total that the page shows."""
    if session["mode"] == "setup":
        return ""
    shown = f'<input type="hidden" name="total" value="{session["amount_total"] or 0}">'
    asked = ""
    if session["allow_promotion_codes"]:
        asked += html.field("promotion_code", "Promotion code", session.get("_word", ""))
    if cart.asks_address(session):
        asked += _address(session.get("_address") or {})
    if cart.asks_tax_id(session):
        asked += _tax_id(session)
    if asked:
        asked += html.button(
            "Update total", name="action", value="update", style="quiet small between"
        )
    return f"{shown}{asked}"


def _address(entered: Obj) -> str:
    options = [("", "Choose"), *((country, country) for country in COUNTRIES)]
    labels = {"line1": "Address", "postal_code": "Postal code", "city": "City", "state": "State"}
    return html.choice("country", "Country", options, entered.get("country") or "") + "".join(
        html.field(name, label, entered.get(name) or "") for name, label in labels.items()
    )


def _tax_id(session: Obj) -> str:
    [entered] = session["_tax_ids"] or [{"type": "eu_vat", "value": ""}]
    return (
        html.field("business_name", "Business name", session.get("_business", ""))
        + html.choice("tax_id_type", "Tax ID type", TAX_IDS, entered["type"])
        + html.field("tax_id", "Tax ID", entered["value"])
    )
