"""The invoice API. Invoices are made by subscriptions; billing.py knows how they live."""

from collections.abc import Callable

from sandbox.stripe import billing, preview
from sandbox.stripe.context import Tx, listing
from sandbox.stripe.errors import StripeError
from sandbox.stripe.registry import (
    Params,
    assign,
    given,
    includable,
    merge_metadata,
    page,
    refuse,
    route,
)
from sandbox.stripe.resources import customers, methods, subscriptions, tax
from sandbox.stripe.store import Obj

# What a preview could hold at Stripe and doesn't here.
UNSEEN = (
    "invoice_items", "on_behalf_of", "preview_mode", "schedule", "schedule_details",
)  # fmt: skip


@route("GET", "/v1/invoices/{invoice}")
def retrieve(tx: Tx, params: Params, invoice: str) -> Obj:
    return tx.get("invoice", invoice)


@route("GET", "/v1/invoices")
def index(tx: Tx, params: Params) -> Obj:
    equal = given(params, "collection_method", "customer", "status", _subscription="subscription")
    return page(tx, "invoice", params, "/v1/invoices", **equal)


@route("GET", "/v1/invoices/{invoice}/lines")
def lines(tx: Tx, params: Params, invoice: str) -> Obj:
    rows: list[Obj] = tx.get("invoice", invoice)["lines"]["data"]
    identifiers = [row["id"] for row in rows]
    after = params.get("starting_after")
    start = identifiers.index(after) + 1 if after in identifiers else 0
    limit = params.get("limit", 10)
    more = len(rows) > start + limit
    return listing(rows[start : start + limit], f"/v1/invoices/{invoice}/lines", has_more=more)


@route("POST", "/v1/invoices/{invoice}")
def update(tx: Tx, params: Params, invoice: str) -> Obj:
    obj = tx.get("invoice", invoice)
    with tx.changing(obj, "invoice.updated"):
        assign(obj, params, "auto_advance", "description", "footer", "default_payment_method")
        merge_metadata(obj, params)
    return obj


@route("POST", "/v1/invoices/{invoice}/finalize")
def finalize(tx: Tx, params: Params, invoice: str) -> Obj:
    obj = _require(tx, invoice, "draft", verb="finalized")
    return billing.finalize(tx, obj)


@route("POST", "/v1/invoices/{invoice}/pay")
def pay(tx: Tx, params: Params, invoice: str) -> Obj:
    obj = tx.get("invoice", invoice)
    if obj["status"] == "paid":
        raise StripeError("Invoice is already paid", code="invoice_already_paid")
    if obj["status"] == "draft":
        billing.finalize(tx, obj)
    if obj["status"] not in ("open", "uncollectible", "paid"):
        raise StripeError(f"This invoice can no longer be paid; it is {obj['status']}.")
    if obj["status"] == "paid":
        return obj
    if params.get("paid_out_of_band"):
        billing.settle(tx, obj, out_of_band=True)
        return obj
    method = _chosen(tx, obj, params)
    off_session = bool(params.get("off_session", True))
    error = billing.collect(tx, obj, method, off_session=off_session, automatic=False)
    if error is not None:
        raise error
    if obj["status"] != "paid":
        raise StripeError(
            "This payment requires additional user action before it can be completed successfully.",
            status=402, kind="card_error", code="invoice_payment_intent_requires_action",
        )  # fmt: skip
    return obj


@route("POST", "/v1/invoices/{invoice}/void")
def void(tx: Tx, params: Params, invoice: str) -> Obj:
    return billing.void(tx, _require(tx, invoice, "open", "uncollectible", verb="voided"))


@route("POST", "/v1/invoices/{invoice}/mark_uncollectible")
def mark_uncollectible(tx: Tx, params: Params, invoice: str) -> Obj:
    obj = _require(tx, invoice, "open", verb="marked uncollectible")
    return billing.void(tx, obj, status="uncollectible")


@route("POST", "/v1/invoices/create_preview")
def create_preview(tx: Tx, params: Params) -> Obj:
    """The next invoice of a subscription, changed as asked; or the first one of a new one."""
    refuse(params, *UNSEEN)
    details = {
        **params.get("subscription_details", {}),
        **given(params, "discounts", "automatic_tax"),
    }
    with_customer = _pretending(params.get("customer_details", {}))
    if "subscription" in params:
        return _preview_change(tx, params["subscription"], details, with_customer)
    if "customer" not in params or "items" not in details:
        raise StripeError(
            "You must provide `subscription`, or `customer` and `subscription_details[items]`.",
            code="invoice_upcoming_none",
            status=404,
        )
    wanted = {**details, "customer": params["customer"], **given(params, "currency")}

    def start(imagined: Tx) -> Obj:
        from sandbox.stripe import lifecycle

        with_customer(imagined, customers.existing(imagined, params["customer"], "customer"))
        return lifecycle.begin(imagined, subscriptions.build(imagined, wanted))

    return preview.imagined(tx, start)


@route("GET", "/v1/invoice_payments/{invoice_payment}")
def retrieve_payment(tx: Tx, params: Params, payment: str) -> Obj:
    return tx.get("invoice_payment", payment)


@route("GET", "/v1/invoice_payments")
def index_payments(tx: Tx, params: Params) -> Obj:
    equal = given(params, "invoice", "status")
    payment = params.get("payment", {})
    if "payment_intent" in payment:
        equal["payment.payment_intent"] = payment["payment_intent"]
    return page(tx, "invoice_payment", params, "/v1/invoice_payments", **equal)


@route("GET", "/v1/invoiceitems")
def index_items(tx: Tx, params: Params) -> Obj:
    return page(
        tx, "invoiceitem", params, "/v1/invoiceitems", **given(params, "customer", "invoice")
    )


@route("GET", "/v1/invoiceitems/{invoiceitem}")
def retrieve_item(tx: Tx, params: Params, item: str) -> Obj:
    return tx.get("invoiceitem", item)


@includable("invoice", "payments")
def payments(tx: Tx, invoice: Obj) -> Obj:
    rows = tx.store.select("invoice_payment", invoice=invoice["id"])
    return listing(rows, f"/v1/invoices/{invoice['id']}/payments")


@includable("invoice", "confirmation_secret")
def confirmation_secret(tx: Tx, invoice: Obj) -> Obj | None:
    """What a browser needs to confirm the payment of an open invoice."""
    open_payments = tx.store.select("invoice_payment", invoice=invoice["id"], status="open")
    if not open_payments:
        return None
    intent = tx.get("payment_intent", open_payments[0]["payment"]["payment_intent"])
    return {"type": "payment_intent", "client_secret": intent["client_secret"]}


def _pretending(sent: Params) -> Callable[[Tx, Obj], None]:
    """What gives a customer, in a preview, the address and tax ids that were sent."""
    refuse(sent, "shipping")

    def pretend(tx: Tx, customer: Obj) -> None:
        address = sent.get("address")
        if address is not None:
            customer["address"] = tx.part("address") | address if address else None
        customer["tax_exempt"] = sent.get("tax_exempt") or customer["tax_exempt"]
        for entry in sent.get("tax_ids", ()):
            tax.add(tx, customer, entry["type"], entry["value"])
        tx.store.save(customer)

    return pretend


def _preview_change(
    tx: Tx, identifier: str, details: Params, with_customer: Callable[[Tx, Obj], None]
) -> Obj:
    subscription = tx.get("subscription", identifier, "subscription")
    known = {
        "items",
        "automatic_tax",
        "discounts",
        "proration_behavior",
        "proration_date",
        "billing_cycle_anchor",
        "trial_end",
    }
    wanted = {name: details[name] for name in known | {"cancel_at_period_end"} if name in details}
    at_once = details.get("proration_behavior") == "always_invoice"
    before = subscription["latest_invoice"]

    def after_change(imagined: Tx) -> Obj:
        copy = imagined.get("subscription", identifier)
        with_customer(imagined, imagined.get("customer", copy["customer"]))
        if wanted:
            subscriptions.change(imagined, copy, wanted)
        if copy["latest_invoice"] == before:
            if at_once:
                raise preview.nothing(copy)
            return preview.upcoming(imagined, copy)
        return imagined.get("invoice", copy["latest_invoice"])

    return preview.imagined(tx, after_change)


def _chosen(tx: Tx, invoice: Obj, params: Params) -> Obj | None:
    if "payment_method" not in params:
        return billing.method_for(tx, invoice)
    customer = tx.get("customer", invoice["customer"])
    method = methods.usable(tx, params["payment_method"], "payment_method")
    return customers.require_attached(tx, method["id"], customer)


def _require(tx: Tx, invoice: str, *states: str, verb: str) -> Obj:
    obj = tx.get("invoice", invoice)
    if obj["status"] not in states:
        raise StripeError(
            f"This invoice can't be {verb} because it is {obj['status']}.",
            code="invoice_not_editable",
        )
    return obj
