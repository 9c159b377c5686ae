"""The subscription API: what a caller may ask for. What happens by itself is in lifecycle.py."""

from typing import Any

from sandbox.stripe import (
    billing,
    discounts,
    endings,
    lifecycle,
    pending,
    proration,
    refusals,
    taxes,
)
from sandbox.stripe.context import Tx, listing
from sandbox.stripe.errors import CardError, StripeError
from sandbox.stripe.periods import DAY
from sandbox.stripe.registry import Params, assign, given, merge_metadata, page, refuse, route
from sandbox.stripe.resources import customers, prices
from sandbox.stripe.store import Obj, new_id

UPDATED = lifecycle.UPDATED
MOST_TRIAL_DAYS = 730
UNDONE = (
    "add_invoice_items", "backdate_start_date", "billing_cycle_anchor_config", "billing_schedules",
    "billing_thresholds", "default_tax_rates", "pending_invoice_item_interval",
)  # fmt: skip


@route("POST", "/v1/subscriptions")
def create(tx: Tx, params: Params) -> Obj:
    if "customer" not in params:
        raise StripeError(
            "Missing required param: customer.", code="parameter_missing", param="customer"
        )
    subscription = build(tx, params)
    invoice = lifecycle.begin(tx, subscription)
    behaviour = params.get("payment_behavior", "allow_incomplete")
    if invoice["status"] != "open" or subscription["status"] != "incomplete":
        return subscription
    if behaviour != "default_incomplete":
        off_session = bool(params.get("off_session"))
        error = billing.collect(
            tx, invoice, billing.method_for(tx, invoice), off_session=off_session, automatic=False
        )
        refused = error is not None or subscription["status"] == "incomplete"
        if refused and behaviour == "error_if_incomplete":
            raise refusals.undone(error)
        if error is not None and error.error["code"] == "missing":
            raise refusals.no_payment_method()
    return subscription


@route("GET", "/v1/subscriptions/{subscription_exposed_id}")
def retrieve(tx: Tx, params: Params, subscription: str) -> Obj:
    return tx.get("subscription", subscription)


@route("POST", "/v1/subscriptions/{subscription_exposed_id}")
def update(tx: Tx, params: Params, subscription: str) -> Obj:
    obj = tx.get("subscription", subscription)
    if obj["status"] in lifecycle.ENDED and set(params) - {
        "metadata",
        "cancellation_details",
        "expand",
    }:
        raise StripeError(
            "A canceled subscription can only update its cancellation_details and metadata.",
            param=next(iter(params)),
        )
    if obj["schedule"] and set(params) & {"cancel_at_period_end", "cancel_at"}:
        raise StripeError(
            f"The subscription is managed by the subscription schedule `{obj['schedule']}`, and "
            "updating any cancelation behavior directly is not allowed. Please update the schedule "
            "instead."
        )
    return apply(tx, obj, params)


@route("DELETE", "/v1/subscriptions/{subscription_exposed_id}")
def cancel(tx: Tx, params: Params, subscription: str) -> Obj:
    obj = tx.get("subscription", subscription)
    if obj["status"] in lifecycle.ENDED:
        raise StripeError(
            f"No such subscription: '{subscription}'",
            code="resource_missing",
            param="id",
            status=404,
        )
    endings.explain(obj, params)
    if params.get("prorate") or params.get("invoice_now"):
        proration.close(
            tx, obj, prorate=bool(params.get("prorate")), now=bool(params.get("invoice_now"))
        )
    return lifecycle.end(tx, obj)


@route("DELETE", "/v1/subscriptions/{subscription_exposed_id}/discount")
def delete_discounts(tx: Tx, params: Params, subscription: str) -> Obj:
    obj = tx.get("subscription", subscription)
    if not obj["discounts"]:
        raise StripeError("This subscription has no discount.", code="resource_missing", status=404)
    gone = tx.get("discount", obj["discounts"][-1])
    with tx.changing(obj, UPDATED):
        discounts.drop(tx, obj, lambda discount: discount["id"] in obj["discounts"])
    return {name: value for name, value in gone.items() if name != "end"} | {"deleted": True}


@route("POST", "/v1/subscriptions/{subscription}/resume")
def resume(tx: Tx, params: Params, subscription: str) -> Obj:
    obj = tx.get("subscription", subscription)
    if obj["status"] != "paused":
        raise StripeError("Only paused subscriptions can be resumed.", param="subscription")
    with tx.changing(obj):
        obj["status"] = "active"
        obj["billing_cycle_anchor"] = tx.now
        for item in lifecycle.items(obj):
            item["current_period_end"] = tx.now
    lifecycle.renew(tx, obj)
    tx.emit("customer.subscription.resumed", obj)
    return obj


@route("GET", "/v1/subscriptions")
def index(tx: Tx, params: Params) -> Obj:
    equal: dict[str, Any] = given(params, "customer", "collection_method")
    wanted = params.get("status")
    if wanted == "ended":
        equal["status"] = lifecycle.ENDED
    elif wanted is None:
        equal["_ended"] = False
    elif wanted != "all":
        equal["status"] = wanted
    if "price" in params:
        equal["items.data[0].price.id"] = params["price"]
    return page(tx, "subscription", params, "/v1/subscriptions", **equal)


def build(tx: Tx, params: Params) -> Obj:
    """A subscription as asked for, not begun: no invoice, no event, no timer."""
    customer = customers.existing(tx, params["customer"], "customer")
    if not params.get("items"):
        raise StripeError("Missing required param: items.", code="parameter_missing", param="items")
    _check(tx, customer, params)
    chosen = [_price(tx, entry, position) for position, entry in enumerate(params["items"])]
    currency = params.get("currency") or chosen[0]["currency"]
    _check_currency(tx, customer, currency)
    trial_end = _trial_end(tx, params)
    identifier = new_id("subscription")
    subscription = tx.new(
        "subscription",
        **_document(tx, params),
        id=identifier,
        billing_cycle_anchor=params.get("billing_cycle_anchor") or trial_end or tx.now,
        currency=currency,
        customer=customer["id"],
        start_date=tx.now,
        test_clock=customer["test_clock"],
        trial_end=trial_end,
        trial_start=tx.now if trial_end else None,
    )
    rows = [
        new_item(tx, subscription, price, entry)
        for price, entry in zip(chosen, params["items"], strict=True)
    ]
    for price in chosen:
        prices.unit_amount(price, currency)
    url = f"/v1/subscription_items?subscription={identifier}"
    subscription["items"] = listing(rows, url)
    if "default_payment_method" in params:
        method = customers.require_attached(tx, params["default_payment_method"], customer)
        subscription["default_payment_method"] = method["id"]
    merge_metadata(subscription, params)
    endings.set_end(tx, subscription, params)
    _discount(tx, subscription, params)
    return subscription


def _check(tx: Tx, customer: Obj, params: Params) -> None:
    refuse(params, *UNDONE)
    for entry in params["items"]:
        refuse(entry, "discounts", "tax_rates", "billing_thresholds")
    if params.get("automatic_tax", {}).get("enabled"):
        taxes.require_place(tx, customer)


def new_item(tx: Tx, subscription: Obj, price: Obj, entry: Obj) -> Obj:
    """A subscription item whose first period begins now, or is the one that its subscription's
    other items of that interval are in."""
    from sandbox.stripe.context import public

    item: Obj = tx.part("subscription_item") | {
        "id": new_id("subscription_item"),
        "object": "subscription_item",
        "created": tx.now,
        "discounts": [],
        "metadata": entry.get("metadata") or {},
        "price": public(price),
        "subscription": subscription["id"],
        "tax_rates": [],
        "_used_from": tx.now,
    }
    set_quantity(item, entry)
    lifecycle.advance(subscription, item, tx.now)
    if subscription["status"] == "trialing" or (subscription["trial_end"] or 0) > tx.now:
        item["current_period_end"] = subscription["trial_end"]
    for sibling in lifecycle.items(subscription) if "items" in subscription else ():
        if lifecycle.interval(sibling) == lifecycle.interval(item):
            for name in ("current_period_start", "current_period_end"):
                item[name] = sibling[name]
    return item


def set_quantity(item: Obj, entry: Obj) -> None:
    """The quantity that was sent, or 1; a metered item has none."""
    if not lifecycle.metered(item):
        item["quantity"] = entry.get("quantity", item.get("quantity", 1))
        return
    item.pop("quantity", None)
    if "quantity" in entry:
        raise StripeError("A metered price takes no quantity.", param="items[0][quantity]")


def apply(tx: Tx, subscription: Obj, params: Params) -> Obj:
    """`change`, undone when it isn't paid and the caller wants all or nothing."""
    if params.get("payment_behavior") == "pending_if_incomplete":
        return pending.change(tx, subscription, params)
    before = subscription["latest_invoice"]
    error = change(tx, subscription, params)
    if params.get("payment_behavior") == "error_if_incomplete":
        made = subscription["latest_invoice"] != before
        if error or (made and _asks_the_payer(tx, subscription)):
            raise refusals.undone(error)
    return subscription


def _asks_the_payer(tx: Tx, subscription: Obj) -> bool:
    invoice = tx.get("invoice", subscription["latest_invoice"])
    automatic = invoice["collection_method"] == "charge_automatically"
    return bool(automatic and invoice["status"] == "open")


def change(tx: Tx, subscription: Obj, params: Params) -> CardError | None:
    """Applies an update: one `customer.subscription.updated`, whatever it consists of."""
    error = None
    refuse(params, *UNDONE)
    with tx.changing(subscription, UPDATED):
        assign(
            subscription,
            params,
            "description",
            "default_source",
            "collection_method",
            "days_until_due",
        )
        if "default_payment_method" in params:
            customer = tx.get("customer", subscription["customer"])
            method = customers.require_attached(tx, params["default_payment_method"], customer)
            subscription["default_payment_method"] = method["id"]
        if "pause_collection" in params:
            pause = params["pause_collection"]
            part = "subscriptions_resource_pause_collection"
            subscription["pause_collection"] = tx.part(part, **pause) if pause else None
        settings = params.get("payment_settings", {})
        subscription["payment_settings"] |= settings
        merge_metadata(subscription, params)
        endings.explain(subscription, params)
        endings.set_end(tx, subscription, params)
        if "trial_end" in params:
            endings.move_trial(tx, subscription, params["trial_end"])
        _discount(tx, subscription, params)
        _automatic_tax(tx, subscription, params)
        if "items" in params or params.get("billing_cycle_anchor") == "now":
            error = proration.change(tx, subscription, params)
        endings.follow_period(subscription)
    lifecycle.plan(tx, subscription)
    for listener in lifecycle.CHANGED:
        listener(tx, subscription)
    return error


def _discount(tx: Tx, subscription: Obj, params: Params) -> None:
    if "discounts" in params:
        rows = lifecycle.licensed(subscription)
        subtotal = sum(lifecycle.period_line(tx, subscription, row)["amount"] for row in rows)
        discounts.redeem(tx, subscription, params["discounts"] or [], subtotal)


def _automatic_tax(tx: Tx, subscription: Obj, params: Params) -> None:
    if "automatic_tax" in params:
        chosen = taxes.setting(tx, "subscription_automatic_tax", params)
        subscription["automatic_tax"] = chosen
        if chosen["enabled"]:
            taxes.require_place(tx, tx.get("customer", subscription["customer"]))


def _price(tx: Tx, entry: Obj, position: int) -> Obj:
    param = f"items[{position}][price]"
    if "price_data" in entry:
        return prices.create(tx, entry["price_data"])
    if "price" not in entry:
        raise StripeError(
            f"Missing required param: {param}.", code="parameter_missing", param=param
        )
    price = tx.get("price", entry["price"], param)
    return require_recurring(price, param)


def require_recurring(price: Obj, param: str) -> Obj:
    if not price["active"]:
        message = "The price specified is inactive. This field only accepts active prices."
        raise StripeError(message, param=param)
    if price["type"] != "recurring":
        raise StripeError(
            "The price specified is set to `type=one_time` but this field only accepts prices with "
            "`type=recurring`.",
            param=param,
        )
    return price


def _check_currency(tx: Tx, customer: Obj, currency: str) -> None:
    for other in tx.store.select("subscription", customer=customer["id"], _ended=False):
        if other["currency"] != currency:
            raise StripeError(
                "You cannot combine currencies on a single customer. This customer has an active "
                "subscription, subscription schedule, discount, quote, or invoice item with "
                f"currency {other['currency']}."
            )


def _trial_end(tx: Tx, params: Params) -> int | None:
    sent = params.get("trial_end")
    if sent is not None and sent != "now":
        if sent <= tx.now:
            raise StripeError("Invalid timestamp: must be in the future.", param="trial_end")
        return int(sent)
    days = params.get("trial_period_days", 0)
    if days > MOST_TRIAL_DAYS:
        raise StripeError(
            "The maximum number of trial period days is 730 (2 years).", param="trial_period_days"
        )
    return tx.now + days * DAY if days and sent != "now" else None


def _document(tx: Tx, params: Params) -> Obj:
    settings = tx.part("subscriptions_resource_payment_settings", save_default_payment_method="off")
    missing = {"end_behavior": {"missing_payment_method": "create_invoice"}}
    return {
        "automatic_tax": taxes.setting(tx, "subscription_automatic_tax", params),
        "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": tx.part("cancellation_details"),
        "collection_method": params.get("collection_method", "charge_automatically"),
        "days_until_due": params.get("days_until_due"),
        "default_tax_rates": [],
        "description": params.get("description"),
        "discounts": [],
        "invoice_settings": tx.part(
            "subscriptions_resource_subscription_invoice_settings", issuer={"type": "self"}
        ),
        "metadata": {},
        "payment_settings": settings | params.get("payment_settings", {}),
        "status": "incomplete",
        "trial_settings": params.get("trial_settings", missing),
        "_ended": False,
    }
