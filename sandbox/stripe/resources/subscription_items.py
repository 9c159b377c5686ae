"""Subscription items by themselves: each call is a change of the subscription they belong to."""

from sandbox.stripe import lifecycle
from sandbox.stripe.context import Tx, listing
from sandbox.stripe.errors import missing
from sandbox.stripe.registry import Params, route
from sandbox.stripe.resources import subscriptions
from sandbox.stripe.store import Obj

HOW = ("proration_behavior", "proration_date", "payment_behavior")


@route("POST", "/v1/subscription_items")
def create(tx: Tx, params: Params) -> Obj:
    subscription = tx.get("subscription", params["subscription"], "subscription")
    known = {row["id"] for row in lifecycle.items(subscription)}
    _change(tx, subscription, {}, params)
    return next(row for row in lifecycle.items(subscription) if row["id"] not in known)


@route("GET", "/v1/subscription_items/{item}")
def retrieve(tx: Tx, params: Params, item: str) -> Obj:
    return _find(tx, item)[1]


@route("POST", "/v1/subscription_items/{item}")
def update(tx: Tx, params: Params, item: str) -> Obj:
    subscription, row = _find(tx, item)
    _change(tx, subscription, {"id": item}, params)
    return row


@route("DELETE", "/v1/subscription_items/{item}")
def delete(tx: Tx, params: Params, item: str) -> Obj:
    subscription, _ = _find(tx, item)
    _change(tx, subscription, {"id": item, "deleted": True}, params)
    return {"id": item, "object": "subscription_item", "deleted": True}


@route("GET", "/v1/subscription_items")
def index(tx: Tx, params: Params) -> Obj:
    rows = lifecycle.items(tx.get("subscription", params["subscription"], "subscription"))
    return listing(rows, "/v1/subscription_items")


def _change(tx: Tx, subscription: Obj, entry: Obj, params: Params) -> None:
    fields = {name: params[name] for name in ("price", "quantity", "metadata") if name in params}
    how = {name: params[name] for name in HOW if name in params}
    subscriptions.apply(tx, subscription, {"items": [entry | fields], **how})


def _find(tx: Tx, item: str) -> tuple[Obj, Obj]:
    for subscription in tx.store.select("subscription"):
        for row in lifecycle.items(subscription):
            if row["id"] == item:
                return subscription, row
    raise missing("subscription_item", item)
