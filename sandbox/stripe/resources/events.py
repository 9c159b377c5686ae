"""Events as the API shows them: what happened, newest first."""

from sandbox.stripe.context import Tx
from sandbox.stripe.registry import Params, given, page, route
from sandbox.stripe.store import Obj


@route("GET", "/v1/events/{id}")
def retrieve(tx: Tx, params: Params, event: str) -> Obj:
    return tx.get("event", event)


@route("GET", "/v1/events")
def index(tx: Tx, params: Params) -> Obj:
    equal = given(params, "type") | given(params, type="types")
    if "delivery_success" in params:
        delivered = params["delivery_success"]
        pending = (
            "SELECT DISTINCT event FROM deliveries WHERE state != 'delivered' AND forgery IS NULL"
        )
        undelivered = {row[0] for row in tx.store.all(pending)}
        every = {event["id"] for event in tx.store.select("event")}
        equal["id"] = sorted(every - undelivered if delivered else undelivered)
    return page(tx, "event", params, "/v1/events", **equal)
