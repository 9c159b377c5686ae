"""The customer portal's page: what the customer has, and the few things to do about it."""

from datetime import UTC, datetime
from html import escape

from sandbox.stripe import cards, html, lifecycle
from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError
from sandbox.stripe.money import display
from sandbox.stripe.resources import methods, setup_intents, subscriptions
from sandbox.stripe.store import Obj


def render(tx: Tx, session: Obj, message: str | None = None) -> str:
    """The page's body for the customer of a portal session."""
    customer = tx.get("customer", session["customer"])
    held = [
        subscription
        for subscription in tx.store.select("subscription", customer=customer["id"])
        if subscription["status"] not in (*lifecycle.ENDED, "incomplete")
    ]
    back = session["return_url"]
    leave = f"<p>{html.link(back, 'Return to Harbor')}</p>" if back else ""
    return (
        f'<p><span class="test">TEST MODE</span></p><h1>Your billing</h1>'
        f'<p class="soft">{escape(customer["email"] or "")}</p>{leave}{html.problem(message)}'
        + "".join(_subscription(tx, session, subscription) for subscription in held)
        + ("" if held else html.panel("Subscription", "<p>You have no subscription.</p>"))
        + _card(tx, customer)
        + _invoices(tx, customer)
    )


def act(tx: Tx, session: Obj, form: dict[str, str]) -> str | None:
    """Does what a button asks for; answers why not, when it can't."""
    match form.get("action"):
        case "cancel" | "resume":
            return _cancel(tx, session, form)
        case "card":
            return _save_card(tx, session, form)
        case _:
            return "That is not possible here."


def _cancel(tx: Tx, session: Obj, form: dict[str, str]) -> str | None:
    subscription = tx.store.find(form.get("subscription", ""), "subscription")
    if subscription is None or subscription["customer"] != session["customer"]:
        return "That subscription does not exist."
    features = tx.get("billing_portal.configuration", session["configuration"])["features"]
    if not features["subscription_cancel"]["enabled"]:
        return "You can't cancel here."
    if subscription["status"] in lifecycle.ENDED:
        return "That subscription has ended."
    ends = form["action"] == "cancel"
    if ends and features["subscription_cancel"]["mode"] == "immediately":
        lifecycle.end(tx, subscription)
    else:
        # What billing in flexible mode means here: the portal names the moment of the end.
        subscriptions.change(tx, subscription, {"cancel_at": "max_period_end" if ends else ""})
    return None


def _save_card(tx: Tx, session: Obj, form: dict[str, str]) -> str | None:
    """Saves the card as the default for invoices and for every live subscription."""
    customer = tx.get("customer", session["customer"])
    try:
        card = cards.by_number(form.get("number") or form.get("card", ""))
        method = methods.from_card(tx, card)
    except StripeError as error:
        return str(error)
    intent = setup_intents.open_intent(tx, customer["id"])
    tx.emit("setup_intent.created", intent)
    refusal = setup_intents.attempt(tx, intent, method, authenticated=True)
    if refusal is not None:
        return str(refusal)
    with tx.changing(customer, "customer.updated"):
        customer["invoice_settings"]["default_payment_method"] = method["id"]
    for subscription in tx.store.select("subscription", customer=customer["id"], _ended=False):
        with tx.changing(subscription, lifecycle.UPDATED):
            subscription["default_payment_method"] = method["id"]
    return None


def _subscription(tx: Tx, session: Obj, subscription: Obj) -> str:
    item = lifecycle.items(subscription)[0]
    price = item["price"]
    name = tx.get("product", price["product"])["name"]
    amount = display(
        (price["unit_amount"] or 0) * item.get("quantity", 0), subscription["currency"]
    )
    end = _day(item["current_period_end"])
    ends = subscription["cancel_at"] is not None
    when = f"Ends on {_day(subscription['cancel_at'])}" if ends else f"Renews on {end}"
    action, label = ("resume", "Keep subscription") if ends else ("cancel", "Cancel subscription")
    hidden = f'<input type="hidden" name="subscription" value="{escape(subscription["id"])}">'
    press = html.button(label, name="action", value=action, style="quiet small")
    body = (
        f'<div class="row"><strong>{escape(name)}</strong>'
        f"{html.state(subscription['status'])}</div>"
        f'<p>{amount} / {price["recurring"]["interval"]}</p><p class="soft">{when}</p>'
        f"{html.form('', hidden + press)}"
    )
    return html.panel("Subscription", body)


def _card(tx: Tx, customer: Obj) -> str:
    default = customer["invoice_settings"]["default_payment_method"]
    found = [tx.get("payment_method", default)] if default else []
    found = found or tx.store.select("payment_method", customer=customer["id"])[-1:]
    shown = [f"{m['card']['brand'].title()} ···· {m['card']['last4']}" for m in found]
    text = "".join(f"<p>{escape(line)}</p>" for line in shown) or "<p>No card saved.</p>"
    number = html.field("number", "New card number", cards.CARDS[0].number)
    press = html.button("Update card", name="action", value="card", style="quiet small")
    return html.panel("Payment method", text + html.form("", number + press))


def _invoices(tx: Tx, customer: Obj) -> str:
    found = tx.store.select("invoice", customer=customer["id"])[::-1][:24]
    shown = "".join(
        f"<tr><td>{_invoice_link(invoice)}</td><td>{html.state(invoice['status'])}</td>"
        f'<td class="num">{display(invoice["total"], invoice["currency"])}</td></tr>'
        for invoice in found
    )
    names = "".join(f'<th scope="col">{name}</th>' for name in ("Date", "Status"))
    head = f'<tr>{names}<th scope="col" class="num">Total</th></tr>'
    table = f"<table><thead>{head}</thead><tbody>{shown}</tbody></table>"
    return html.panel("Invoices", table if found else "<p>No invoices yet.</p>")


def _invoice_link(invoice: Obj) -> str:
    url = invoice["hosted_invoice_url"]
    return html.link(url, _day(invoice["created"])) if url else escape(_day(invoice["created"]))


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%-d %B %Y")
