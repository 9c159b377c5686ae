"""What the payer does on the Checkout page: choose a card, confirm with the bank, try again.

As at Stripe, the first attempt already makes the subscription (incomplete) and its invoice; a
declined card leaves them there and the next card pays that same invoice.
"""

from dataclasses import dataclass

from sandbox.stripe import billing, cards, cart, documents, lifecycle, taxes
from sandbox.stripe.context import Tx
from sandbox.stripe.errors import CardError, StripeError
from sandbox.stripe.resources import (
    customers,
    intents,
    methods,
    prices,
    setup_intents,
    subscriptions,
)
from sandbox.stripe.store import Obj


@dataclass(frozen=True)
class Outcome:
    """Where the payer goes next: a URL, or back to the form, with words why when it failed."""

    url: str | None = None
    problem: str | None = None


def submit(tx: Tx, session: Obj, form: dict[str, str]) -> Outcome:
    """The payer pressed Pay with a card. Repeats after a decline reuse what the first made.
    Nothing is charged when the sum isn't the one that the page showed (`total`, if it is sent)."""
    if session["status"] != "open":
        return Outcome(problem="This page is no longer active.")
    problem = _fill_in(tx, session, form)
    shown = form.get("total", "")
    if form.get("action") == "update":
        return Outcome(problem=problem)
    problem = problem or cart.lacks(session)
    if problem is None and shown and shown != str(session["amount_total"]):
        problem = "The total has changed. Look at it again, then pay."
    if problem is not None:
        return Outcome(problem=problem)
    number = form.get("number", "").strip() or form.get("card", "")
    try:
        card = cards.by_number(number) if number else None
    except CardError as error:
        return Outcome(problem=str(error))
    email, name = form.get("email", ""), form.get("name", "")
    customer = _customer(tx, session, email, name)
    method = methods.from_card(tx, card) if card else None
    if method is not None:
        method["billing_details"] |= {"email": email or None, "name": name or None}
    if method is None and not free_of_card(session):
        return Outcome(problem="Your card number is incomplete.")
    step = {"subscription": _subscribe, "payment": _pay, "setup": _set_up}[session["mode"]]
    return step(tx, session, customer, method)


def _fill_in(tx: Tx, session: Obj, form: dict[str, str]) -> str | None:
    """Takes over what the form says besides the card; answers what is wrong with it."""
    session["_entered"] = {name: form.get(name, "") for name in ("email", "name")}
    tx.store.save(session)
    word = form.get("promotion_code")
    problem = None
    if word is not None and word != session.get("_word", ""):
        problem = cart.enter_code(tx, session, word)
    return problem or cart.enter_party(tx, session, form)


def confirmed(tx: Tx, session: Obj) -> Outcome:
    """The payer came back from the bank's page: complete the session, or say what went wrong."""
    intent = tx.store.find(session["_attempt"] or "")
    if session["status"] == "complete":
        return Outcome(url=success_url(session))
    if intent is None or intent["status"] != "succeeded":
        error = (intent or {}).get("last_payment_error") or (intent or {}).get("last_setup_error")
        return Outcome(problem=(error or {}).get("message", "Your card was not charged."))
    method = tx.get("payment_method", intent["payment_method"])
    if session["mode"] == "subscription" and session.get("_begun") is None:
        return _subscribe(tx, session, tx.get("customer", session["_customer"]), method)
    return _complete(tx, session, method)


def success_url(session: Obj) -> str:
    return str(session["success_url"] or "").replace("{CHECKOUT_SESSION_ID}", session["id"])


def free_of_card(session: Obj) -> bool:
    """Nothing is due today and the merchant doesn't insist on a card."""
    due = session["amount_total"]
    return (due, session["payment_method_collection"]) == (0, "if_required")


def _subscribe(tx: Tx, session: Obj, customer: Obj, method: Obj | None) -> Outcome:
    if session["amount_total"] == 0 and method is not None and not method["customer"]:
        outcome = _save_card(tx, session, customer, method)
        if outcome is not None:
            return outcome
    try:
        subscription = _subscription(tx, session, customer)
    except StripeError as error:
        return Outcome(problem=str(error))
    invoice = tx.get("invoice", subscription["latest_invoice"])
    if invoice["status"] == "open":
        if method is None:
            return Outcome(problem="Your card number is incomplete.")
        outcome = _charge(tx, session, invoice, method)
        if outcome is not None:
            return outcome
    return _complete(tx, session, method)


def _charge(tx: Tx, session: Obj, invoice: Obj, method: Obj) -> Outcome | None:
    back = f"{tx.config.base_url}/checkout/{session['id']}/confirmed"
    error = billing.collect(tx, invoice, method, automatic=False, return_url=back)
    payment = billing.payment_of(tx, invoice)
    return _wait(tx, session, tx.get("payment_intent", payment["payment"]["payment_intent"]), error)


def _subscription(tx: Tx, session: Obj, customer: Obj) -> Obj:
    """The session's subscription; made on the first attempt."""
    begun = session.get("_begun")
    if begun is not None:
        return tx.get("subscription", begun)
    data = session["_subscription_data"]
    rows = session["_line_items"]
    items = [row for row in rows if row["price"]["type"] == "recurring"]
    once = [row for row in rows if row["price"]["type"] == "one_time"]
    params = {
        "customer": customer["id"],
        "currency": session["currency"],
        "items": [{"price": row["price"]["id"], **_quantity(row)} for row in items],
        "automatic_tax": {"enabled": session["automatic_tax"]["enabled"]},
        "discounts": session["_entries"],
        "payment_settings": {"save_default_payment_method": "off"},
        **data,
    }
    subscription = subscriptions.build(tx, params)
    for held in subscription["discounts"]:
        with tx.changing(tx.get("discount", held)) as discount:
            discount["checkout_session"] = session["id"]
    extra = [_one_time_line(tx, row) for row in once]
    lifecycle.begin(tx, subscription, extra)
    session["_begun"] = subscription["id"]
    tx.store.save(session)
    return subscription


def _quantity(row: Obj) -> Obj:
    return {} if row["quantity"] is None else {"quantity": row["quantity"]}


def _one_time_line(tx: Tx, row: Obj) -> Obj:
    price = tx.get("price", row["price"]["id"])
    amount = prices.line_amount(price, row["currency"], row["quantity"])
    return documents.line(
        tx, amount=amount, currency=row["currency"], description=row["description"],
        period=(tx.now, tx.now), quantity=row["quantity"], price=price,
    )  # fmt: skip


def _pay(tx: Tx, session: Obj, customer: Obj, method: Obj | None) -> Outcome:
    if method is None:
        return Outcome(problem="Your card number is incomplete.")
    intent = tx.store.find(session["_attempt"] or "")
    if intent is None:
        data = session["_payment_intent_data"]
        intent = intents.open_intent(
            tx, session["amount_total"], session["currency"], customer["id"],
            description=data.get("description"), setup_future_usage=data.get("setup_future_usage"),
        )  # fmt: skip
        intent["metadata"] = dict(data.get("metadata", {}))
        tx.emit("payment_intent.created", intent)
    back = f"{tx.config.base_url}/checkout/{session['id']}/confirmed"
    error = intents.attempt(tx, intent, method, return_url=back)
    return _wait(tx, session, intent, error) or _complete(tx, session, method)


def _set_up(tx: Tx, session: Obj, customer: Obj, method: Obj | None) -> Outcome:
    if method is None:
        return Outcome(problem="Your card number is incomplete.")
    return _save_card(tx, session, customer, method) or _complete(tx, session, method)


def _save_card(tx: Tx, session: Obj, customer: Obj, method: Obj) -> Outcome | None:
    intent = setup_intents.open_intent(tx, customer["id"])
    intent["metadata"] = dict(session["_setup_intent_data"].get("metadata", {}))
    tx.emit("setup_intent.created", intent)
    back = f"{tx.config.base_url}/checkout/{session['id']}/confirmed"
    error = setup_intents.attempt(tx, intent, method, return_url=back)
    return _wait(tx, session, intent, error)


def _wait(tx: Tx, session: Obj, intent: Obj, error: StripeError | None) -> Outcome | None:
    """None when the attempt worked; otherwise what the payer sees."""
    session["_attempt"] = intent["id"]
    tx.store.save(session)
    if error is not None:
        return Outcome(problem=str(error))
    if intent["status"] == "requires_action":
        return Outcome(url=f"{tx.config.base_url}/3ds/{intent['id']}")
    return None


def _complete(tx: Tx, session: Obj, method: Obj | None) -> Outcome:
    tx.unschedule(session)
    customer = tx.get("customer", session["_customer"])
    if session["mode"] == "subscription":
        subscription = tx.get("subscription", session["_begun"])
        if method is not None:
            with tx.changing(subscription, lifecycle.UPDATED):
                subscription["default_payment_method"] = method["id"]
        session |= {"subscription": subscription["id"], "invoice": subscription["latest_invoice"]}
    elif session["mode"] == "payment":
        session["payment_intent"] = session["_attempt"]
    else:
        session["setup_intent"] = session["_attempt"]
    if session["mode"] != "setup":
        session["payment_status"] = "paid" if session["amount_total"] else "no_payment_required"
    ids = [{name: row[name] for name in ("type", "value")} for row in taxes.ids_of(tx, customer)]
    known = {name: customer[name] for name in ("email", "name", "phone", "address", "tax_exempt")}
    session |= {
        "customer": customer["id"],
        "customer_details": tx.part("payment_pages_checkout_session_customer_details")
        | known
        | {"address": session.get("_address") or customer["address"], "tax_ids": ids},
        **_collected(tx, session),
        "status": "complete",
        "url": None,
    }
    tx.store.save(session)
    tx.emit("checkout.session.completed", session)
    return Outcome(url=success_url(session))


def _collected(tx: Tx, session: Obj) -> Obj:
    name = session.get("_business")
    part = "payment_pages_checkout_session_collected_information"
    return {"collected_information": tx.part(part, business_name=name)} if name else {}


def _customer(tx: Tx, session: Obj, email: str, name: str) -> Obj:
    """The session's customer; a new one for a payer who came without."""
    known = session["customer"] or session.get("_customer")
    if known is None:
        address = session["customer_email"] or email
        customer = customers.create(tx, {"email": address, "name": name or None})
    else:
        customer = tx.get("customer", known)
    cart.write_down(tx, session, customer, new=known is None)
    session["_customer"] = customer["id"]
    tx.store.save(session)
    return customer
