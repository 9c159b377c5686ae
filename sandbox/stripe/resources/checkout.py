"""Checkout sessions: what the merchant asks for. paying.py does what the payer then does."""

from sandbox.stripe import cart, taxes
from sandbox.stripe.context import Tx, listing, public
from sandbox.stripe.errors import StripeError
from sandbox.stripe.periods import DAY
from sandbox.stripe.registry import (
    Params,
    given,
    includable,
    merge_metadata,
    on_timer,
    page,
    route,
)
from sandbox.stripe.resources import customers, prices
from sandbox.stripe.store import Obj, new_id

COPIED = (
    "allow_promotion_codes", "billing_address_collection", "cancel_url", "client_reference_id",
    "customer_email", "locale", "success_url", "submit_type", "payment_method_collection",
)  # fmt: skip


@route("POST", "/v1/checkout/sessions")
def create(tx: Tx, params: Params) -> Obj:
    mode = _check(params)
    named = params.get("customer")
    customer = None if named is None else customers.existing(tx, named, "customer")
    if customer is not None:
        _check_updates(tx, customer, params)
    items, currency = _line_items(tx, params, mode)
    identifier = new_id("checkout.session")
    session = tx.new(
        "checkout.session",
        **_document(tx, params, mode),
        **{name: params[name] for name in COPIED if name in params},
        id=identifier,
        currency=currency,
        customer=named,
        customer_creation=_customer_creation(params, mode),
        expires_at=_expiry(tx, params),
        url=f"{tx.config.base_url}/checkout/{identifier}",
        _line_items=items,
        _subscription_data=params.get("subscription_data", {}),
        _payment_intent_data=params.get("payment_intent_data", {}),
        _setup_intent_data=params.get("setup_intent_data", {}),
        _attempt=None,
        _trial=_has_trial(params),
        _discounts=[],
        _entries=[],
        _customer_update=params.get("customer_update", {}),
        _tax_ids=[],
    )
    if mode != "setup":
        cart.discount(tx, session, params.get("discounts", []), customer)
    cart.add_up(tx, session)
    merge_metadata(session, params)
    tx.schedule(session, "session.expire", session["expires_at"])
    return session


@route("GET", "/v1/checkout/sessions/{session}")
def retrieve(tx: Tx, params: Params, session: str) -> Obj:
    return tx.get("checkout.session", session)


@route("POST", "/v1/checkout/sessions/{session}")
def update(tx: Tx, params: Params, session: str) -> Obj:
    obj = tx.get("checkout.session", session)
    with tx.changing(obj):
        merge_metadata(obj, params)
    return obj


@route("GET", "/v1/checkout/sessions")
def index(tx: Tx, params: Params) -> Obj:
    equal = given(params, "customer", "payment_intent", "status", "subscription")
    if "customer_details" in params:
        equal["customer_details.email"] = params["customer_details"]["email"]
    return page(tx, "checkout.session", params, "/v1/checkout/sessions", **equal)


@route("GET", "/v1/checkout/sessions/{session}/line_items")
def index_line_items(tx: Tx, params: Params, session: str) -> Obj:
    found: Obj = line_items(tx, tx.get("checkout.session", session))
    return found


@route("POST", "/v1/checkout/sessions/{session}/expire")
def expire(tx: Tx, params: Params, session: str) -> Obj:
    obj = tx.get("checkout.session", session)
    if obj["status"] != "open":
        raise StripeError(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
            f"Session has a status of {obj['status']}."
        )
    return _expire(tx, obj)


@on_timer("session.expire")
def expire_on_time(tx: Tx, session: Obj) -> None:
    if session["status"] == "open":
        _expire(tx, session)


@includable("checkout.session", "line_items")
def line_items(tx: Tx, session: Obj) -> Obj:
    rows: list[Obj] = session["_line_items"]
    return listing(rows, f"/v1/checkout/sessions/{session['id']}/line_items")


@includable("", "breakdown")
def breakdown(tx: Tx, total_details: Obj) -> Obj:
    """What makes up a session's discount and tax."""
    parts: Obj = total_details["_breakdown"]
    return parts


@includable("item", "discounts")
def item_discounts(tx: Tx, item: Obj) -> list[Obj]:
    found: list[Obj] = item["_discounts"]
    return found


@includable("item", "taxes")
def item_taxes(tx: Tx, item: Obj) -> list[Obj]:
    found: list[Obj] = item["_taxes"]
    return found


def _expire(tx: Tx, session: Obj) -> Obj:
    with tx.changing(session):
        session |= {"status": "expired", "url": None}
    tx.emit("checkout.session.expired", session)
    return session


def _check(params: Params) -> str:
    mode = params.get("mode")
    if mode is None:
        raise StripeError("Missing required param: mode.", code="parameter_missing", param="mode")
    if mode != "setup" and not params.get("line_items"):
        raise StripeError(
            "Missing required param: line_items.", code="parameter_missing", param="line_items"
        )
    if "success_url" not in params and params.get("ui_mode", "hosted_page") == "hosted_page":
        raise StripeError(
            "Missing required param: success_url.", code="parameter_missing", param="success_url"
        )
    if "customer" in params and "customer_email" in params:
        raise StripeError("You may only specify one of these parameters: customer, customer_email.")
    if "discounts" in params and "allow_promotion_codes" in params:
        raise StripeError(
            "You may only specify one of these parameters: allow_promotion_codes, discounts."
        )
    if len(params.get("discounts", [])) > 1:
        raise StripeError("You may only specify one discount.", param="discounts")
    if "customer_update" in params and "customer" not in params:
        raise StripeError(
            "`customer_update` can only be used with `customer`.", param="customer_update"
        )
    if mode != "subscription" and "subscription_data" in params:
        raise StripeError(
            f"You can not pass `subscription_data` in `{mode}` mode.", param="subscription_data"
        )
    return str(mode)


def _check_updates(tx: Tx, customer: Obj, params: Params) -> None:
    """Tax needs to know, and may have to write down, who an existing customer is and where."""
    updates = params.get("customer_update", {})
    taxed = params.get("automatic_tax", {}).get("enabled")
    if taxed and updates.get("address") != "auto" and taxes.of_customer(tx, customer) is None:
        raise StripeError(
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a "
            "valid address to the Customer or set `customer_update[address]` to 'auto' to save the "
            "address entered in Checkout to the Customer.",
            code="customer_tax_location_invalid",
        )
    if params.get("tax_id_collection", {}).get("enabled") and updates.get("name") != "auto":
        raise StripeError(
            "Tax ID collection requires updating business name on the customer. To enable tax ID "
            "collection for an existing customer, please set `customer_update[name]` to `auto`."
        )


def _line_items(tx: Tx, params: Params, mode: str) -> tuple[list[Obj], str | None]:
    items: list[Obj] = []
    currency: str | None = params.get("currency")
    for position, entry in enumerate(params.get("line_items", [])):
        price = _price(tx, entry, position)
        currency = currency or price["currency"]
        items.append(_item(tx, price, _quantity(price, entry), currency))
    recurring = [item for item in items if item["price"]["type"] == "recurring"]
    if mode == "payment" and recurring:
        raise StripeError(
            "You specified `payment` mode but passed a recurring price. Either switch to "
            "`subscription` mode or use only one-time prices.",
            param="mode",
        )
    if mode == "subscription" and not recurring:
        raise StripeError(
            "You must provide at least one recurring price in `subscription` mode when using "
            "prices.",
            param="line_items",
        )
    return items, currency


def _price(tx: Tx, entry: Obj, position: int) -> Obj:
    param = f"line_items[{position}][price]"
    if "price_data" in entry:
        return prices.create(tx, entry["price_data"])
    if "price" not in entry:
        raise StripeError(
            f"Missing required param: {param}.", code="parameter_missing", param=param
        )
    price = tx.get("price", entry["price"], param)
    if not price["active"]:
        message = "The price specified is inactive. This field only accepts active prices."
        raise StripeError(message, param=param)
    return price


def _quantity(price: Obj, entry: Obj) -> int | None:
    if not prices.metered(price):
        return int(entry.get("quantity", 1))
    if "quantity" in entry:
        raise StripeError("A metered price takes no quantity.", param="line_items[0][quantity]")
    return None


def _item(tx: Tx, price: Obj, quantity: int | None, currency: str) -> Obj:
    if quantity is not None and quantity < 1:
        raise StripeError(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param="line_items[0][quantity]",
        )
    amount = 0 if quantity is None else prices.line_amount(price, currency, quantity)
    item = {
        "id": new_id("item"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": currency,
        "description": tx.get("product", price["product"])["name"],
        "price": public(price),
        "quantity": quantity,
    }
    return tx.part("item", adjustable_quantity=None) | item


def _document(tx: Tx, params: Params, mode: str) -> Obj:
    page_part = "payment_pages_checkout_session_"
    ids = params.get("tax_id_collection")
    trial_free = mode == "subscription" and "payment_method_collection" not in params
    return {
        "automatic_tax": taxes.setting(tx, f"{page_part}automatic_tax", params),
        **({"tax_id_collection": {"required": "never", **ids}} if ids else {}),
        "custom_fields": [],
        "custom_text": tx.part(f"{page_part}custom_text"),
        "metadata": {},
        "mode": mode,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": params.get("payment_method_types", ["card"]),
        "payment_status": "unpaid" if mode != "setup" else "no_payment_required",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "ui_mode": params.get("ui_mode", "hosted_page"),
        **({"payment_method_collection": "always"} if trial_free else {}),
    }


def _customer_creation(params: Params, mode: str) -> str | None:
    if "customer" in params:
        return None
    default = "always" if mode == "subscription" else "if_required"
    return str(params.get("customer_creation", default))


def _has_trial(params: Params) -> bool:
    data = params.get("subscription_data", {})
    return bool(data.get("trial_period_days") or data.get("trial_end"))


def _expiry(tx: Tx, params: Params) -> int:
    sent = params.get("expires_at")
    if sent is None:
        return tx.now + DAY
    if not tx.now + 1800 - 60 <= sent <= tx.now + DAY + 60:
        raise StripeError(
            "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from "
            "Checkout Session creation.",
            param="expires_at",
        )
    return int(sent)
