"""Customers. A deleted one stays retrievable as `{"deleted": true}` and loses its subscriptions."""

from sandbox.stripe import taxes
from sandbox.stripe.context import Tx, listing
from sandbox.stripe.errors import StripeError
from sandbox.stripe.registry import Params, assign, given, includable, merge_metadata, page, route
from sandbox.stripe.resources import balances, methods
from sandbox.stripe.store import Obj, token

FIELDS = (
    "address", "description", "email", "name", "phone", "preferred_locales", "shipping",
    "tax_exempt", "business_name", "individual_name", "invoice_prefix", "next_invoice_sequence",
)  # fmt: skip
OPTIONAL = ("business_name", "individual_name")


@route("POST", "/v1/customers")
def create(tx: Tx, params: Params) -> Obj:
    customer = tx.new(
        "customer",
        balance=0,
        delinquent=False,
        invoice_prefix=token(8).upper(),
        invoice_settings=tx.part("invoice_setting_customer_setting"),
        metadata={},
        next_invoice_sequence=1,
        preferred_locales=[],
        tax_exempt="none",
    )
    _assign(tx, customer, params)
    if "test_clock" in params:
        clock = tx.get("test_helpers.test_clock", params["test_clock"], "test_clock")
        customer["test_clock"] = clock["id"]
    _set_balance(tx, customer, params, "initial")
    tx.emit("customer.created", customer)
    _tell_tax(tx, customer, params)
    if "payment_method" in params:
        method = methods.attach_to(tx, params["payment_method"], customer)
        with tx.changing(customer, "customer.updated"):
            settings = params.get("invoice_settings", {})
            if settings.get("default_payment_method") == params["payment_method"]:
                customer["invoice_settings"]["default_payment_method"] = method["id"]
    return customer


@route("GET", "/v1/customers/{customer}")
def retrieve(tx: Tx, params: Params, customer: str) -> Obj:
    found = tx.store.find(customer, "customer")
    if found is not None and found.get("_deleted"):
        return {"id": customer, "object": "customer", "deleted": True}
    return tx.get("customer", customer)


@route("POST", "/v1/customers/{customer}")
def update(tx: Tx, params: Params, customer: str) -> Obj:
    obj = existing(tx, customer)
    with tx.changing(obj, "customer.updated"):
        _assign(tx, obj, params)
        _set_balance(tx, obj, params, "adjustment")
        default = params.get("invoice_settings", {}).get("default_payment_method")
        if default:
            require_attached(tx, default, obj)
            obj["invoice_settings"]["default_payment_method"] = default
    _tell_tax(tx, obj, params)
    return obj


@route("DELETE", "/v1/customers/{customer}")
def delete(tx: Tx, params: Params, customer: str) -> Obj:
    from sandbox.stripe import lifecycle

    obj = existing(tx, customer)
    for subscription in tx.store.select("subscription", customer=customer):
        if subscription["status"] not in lifecycle.ENDED:
            lifecycle.end(tx, subscription)
    for method in tx.store.select("payment_method", customer=customer):
        method["customer"] = None
        tx.store.save(method)
    tx.emit("customer.deleted", obj)
    obj["_deleted"] = True
    tx.store.save(obj)
    return {"id": customer, "object": "customer", "deleted": True}


@route("GET", "/v1/customers")
def index(tx: Tx, params: Params) -> Obj:
    return page(tx, "customer", params, "/v1/customers", _deleted=None, **given(params, "email"))


@route("GET", "/v1/customers/{customer}/payment_methods")
def payment_methods(tx: Tx, params: Params, customer: str) -> Obj:
    existing(tx, customer)
    url = f"/v1/customers/{customer}/payment_methods"
    return page(tx, "payment_method", params, url, customer=customer, **given(params, "type"))


@route("GET", "/v1/customers/{customer}/payment_methods/{payment_method}")
def payment_method(tx: Tx, params: Params, customer: str, method: str) -> Obj:
    return require_attached(tx, method, existing(tx, customer))


@includable("customer", "sources")
def sources(tx: Tx, customer: Obj) -> Obj:
    """Always empty: cards are payment methods here."""
    return listing([], f"/v1/customers/{customer['id']}/sources")


@includable("customer", "tax_ids")
def tax_ids(tx: Tx, customer: Obj) -> Obj:
    rows = taxes.ids_of(tx, customer)[::-1]
    return listing(rows, f"/v1/customers/{customer['id']}/tax_ids")


@includable("customer", "tax")
def tax(tx: Tx, customer: Obj) -> Obj:
    found = taxes.of_customer(tx, customer)
    address = customer["address"] or {}
    place = {"country": address.get("country"), "source": "billing_address"}
    status = "unrecognized_location"
    if found is not None:
        status = "not_collecting" if found.reason == "not_collecting" else "supported"
    return {
        "automatic_tax": status,
        "ip_address": None,
        "location": place | {"state": address.get("state")} if found else None,
        "provider": "stripe",
    }


@includable("customer", "subscriptions")
def subscriptions(tx: Tx, customer: Obj) -> Obj:
    rows = tx.store.select("subscription", customer=customer["id"], _ended=False)[::-1]
    return listing(rows, f"/v1/customers/{customer['id']}/subscriptions")


def existing(tx: Tx, customer: str, param: str | None = None) -> Obj:
    """The customer, which must not be deleted."""
    obj = tx.get("customer", customer, param)
    if obj.get("_deleted"):
        raise StripeError(
            f"No such customer: '{customer}'",
            code="resource_missing",
            param=param or "id",
            status=400 if param else 404,
        )
    return obj


def require_attached(tx: Tx, method: str, customer: Obj) -> Obj:
    obj = tx.get("payment_method", method, "payment_method")
    if obj["customer"] != customer["id"]:
        raise StripeError(
            "The customer does not have a payment method with the ID "
            f"{method}. The payment method must be attached to the customer.",
            code="resource_missing",
            param="invoice_settings[default_payment_method]",
        )
    return obj


def _set_balance(tx: Tx, customer: Obj, params: Params, kind: str) -> None:
    moved = params.get("balance", customer["balance"]) - customer["balance"]
    if moved:
        balances.move(tx, customer, moved, kind, customer["currency"] or "usd")


def _tell_tax(tx: Tx, customer: Obj, params: Params) -> None:
    from sandbox.stripe.resources import tax as tax_family

    for entry in params.get("tax_id_data", ()):
        tax_family.add(tx, customer, entry["type"], entry["value"])
    if params.get("tax", {}).get("validate_location") == "immediately":
        taxes.require_place(tx, customer)


def _assign(tx: Tx, customer: Obj, params: Params) -> None:
    assign(customer, params, *FIELDS)
    for name in OPTIONAL:
        if customer.get(name, "") is None:
            customer.pop(name)
    if params.get("address"):
        customer["address"] = tx.part("address") | params["address"]
    if params.get("shipping"):
        shipping = tx.part("shipping") | params["shipping"]
        customer["shipping"] = shipping | {"address": tx.part("address") | shipping["address"]}
    if params.get("tax_exempt") == "":
        customer["tax_exempt"] = "none"
    footer = params.get("invoice_settings", {})
    assign(customer["invoice_settings"], footer, "footer", "custom_fields", "rendering_options")
    merge_metadata(customer, params)
