"""Test clocks, on top of the sandbox's one clock: advancing any of them moves time for everybody.

So a test clock starts now, and real time passes beside it; `frozen_time` says how far it was moved.
As at Stripe, advancing is answered at once (`advancing`), done in the background (`ready`), and
reaches two intervals at most.
"""

from datetime import UTC, datetime

from sandbox.stripe import lifecycle
from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError
from sandbox.stripe.periods import DAY, boundary
from sandbox.stripe.registry import Params, on_timer, page, refuse, route
from sandbox.stripe.resources import customers
from sandbox.stripe.store import Obj

KIND = "test_helpers.test_clock"
NEAR = 300


@route("POST", "/v1/test_helpers/test_clocks")
def create(tx: Tx, params: Params) -> Obj:
    refuse(params, "customer")
    if abs(params["frozen_time"] - tx.now) > NEAR:
        raise StripeError(
            f"This sandbox has one clock: a test clock starts now ({tx.now}).", param="frozen_time"
        )
    made = tx.new(
        KIND,
        deletes_after=tx.now + 30 * DAY,
        frozen_time=params["frozen_time"],
        name=params.get("name"),
        status="ready",
        status_details={},
    )
    tx.emit("test_helpers.test_clock.created", made)
    return made


@route("GET", "/v1/test_helpers/test_clocks/{test_clock}")
def retrieve(tx: Tx, params: Params, test_clock: str) -> Obj:
    return tx.get(KIND, test_clock)


@route("GET", "/v1/test_helpers/test_clocks")
def index(tx: Tx, params: Params) -> Obj:
    return page(tx, KIND, params, "/v1/test_helpers/test_clocks")


@route("POST", "/v1/test_helpers/test_clocks/{test_clock}/advance")
def advance(tx: Tx, params: Params, test_clock: str) -> Obj:
    obj, target = tx.get(KIND, test_clock), params["frozen_time"]
    if tx.store.select(KIND, status="advancing"):
        raise StripeError("Test clock advancement underway.", status=429, code="rate_limit")
    if target <= max(obj["frozen_time"], tx.now):
        raise StripeError("A test clock only goes forward.", param="frozen_time")
    furthest = _furthest(tx, obj)
    if target > furthest:
        until = datetime.fromtimestamp(furthest, UTC).isoformat()
        raise StripeError(
            f"You can advance this test clock by two intervals at most, to {until}.",
            param="frozen_time",
        )
    with tx.changing(obj):
        obj["status"] = "advancing"
        obj["status_details"] = {"advancing": {"target_frozen_time": target}}
    tx.schedule(obj, "test_clock.ready", target)
    tx.store.set_meta("clock_target", target)
    tx.emit("test_helpers.test_clock.advancing", obj)
    return obj


@route("DELETE", "/v1/test_helpers/test_clocks/{test_clock}")
def delete(tx: Tx, params: Params, test_clock: str) -> Obj:
    """Its customers go with it, and their subscriptions with them."""
    obj = tx.get(KIND, test_clock)
    for customer in tx.store.select("customer", test_clock=test_clock, _deleted=None):
        customers.delete(tx, {}, customer["id"])
    tx.unschedule(obj)
    tx.emit("test_helpers.test_clock.deleted", obj)
    tx.store.run("DELETE FROM objects WHERE id = ?", test_clock)
    return {"id": test_clock, "object": KIND, "deleted": True}


@on_timer("test_clock.ready")
def ready(tx: Tx, test_clock: Obj) -> None:
    with tx.changing(test_clock):
        test_clock |= {"frozen_time": tx.now, "status": "ready", "status_details": {}}
    tx.emit("test_helpers.test_clock.ready", test_clock)


def _furthest(tx: Tx, test_clock: Obj) -> int:
    """Two of the shortest intervals of its subscriptions from where it stands, or two years."""
    start = max(test_clock["frozen_time"], tx.now)
    running = tx.store.select("subscription", test_clock=test_clock["id"], _ended=False)
    rows = [item for subscription in running for item in lifecycle.items(subscription)]
    ends = [boundary(start, *lifecycle.interval(item), 2) for item in rows]
    return min(ends, default=boundary(start, "year", 1, 2))
