"""Subscription schedules: what a subscription turns into at the end of its phases.

Made from a subscription, whose running period is the first phase; released after the last one. A
phase says everything: prices that it doesn't name end with the phase before it, and so do discounts
(name them as `{"discount": id}` to keep them). A new coupon or promotion code must be good when it
is planned, and is redeemed when its phase begins, unless it has become bad by then. A phase that
starts with a period is billed with that period's invoice; one within it is prorated as it says.
"""

from typing import Any

from sandbox.stripe import discounts, lifecycle, proration
from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError
from sandbox.stripe.periods import boundary
from sandbox.stripe.registry import (
    Params,
    given,
    merge_metadata,
    on_timer,
    page,
    refuse,
    route,
)
from sandbox.stripe.resources import prices, subscriptions
from sandbox.stripe.store import Obj

UPDATED = "subscription_schedule.updated"
PHASE_UNDONE = (
    "add_invoice_items", "application_fee_percent", "automatic_tax", "billing_thresholds",
    "collection_method", "default_payment_method", "default_tax_rates", "description",
    "invoice_settings", "on_behalf_of", "transfer_data", "trial", "trial_end",
)  # fmt: skip
DISCOUNT = ("coupon", "discount", "promotion_code")


@route("POST", "/v1/subscription_schedules")
def create(tx: Tx, params: Params) -> Obj:
    refuse(params, "customer", "phases", "default_settings", "start_date", "billing_mode")
    if "from_subscription" not in params:
        raise StripeError(
            "Missing required param: from_subscription.", code="parameter_missing",
            param="from_subscription",
        )  # fmt: skip
    subscription = tx.get("subscription", params["from_subscription"], "from_subscription")
    _check(subscription, params)
    phase = _running(tx, subscription)
    schedule = tx.new(
        "subscription_schedule",
        billing_mode=subscription["billing_mode"],
        current_phase=_span(phase),
        customer=subscription["customer"],
        default_settings=_defaults(tx, subscription),
        end_behavior="release",
        metadata={},
        phases=[phase],
        status="active",
        subscription=subscription["id"],
    )
    merge_metadata(schedule, params)
    with tx.changing(subscription, lifecycle.UPDATED):
        subscription["schedule"] = schedule["id"]
    tx.schedule(schedule, "schedule.phase", phase["end_date"])
    tx.emit("subscription_schedule.created", schedule)
    return schedule


@route("GET", "/v1/subscription_schedules/{schedule}")
def retrieve(tx: Tx, params: Params, schedule: str) -> Obj:
    return tx.get("subscription_schedule", schedule)


@route("POST", "/v1/subscription_schedules/{schedule}")
def update(tx: Tx, params: Params, schedule: str) -> Obj:
    obj = _active(tx, schedule)
    refuse(params, "default_settings")
    _check_end(params)
    with tx.changing(obj, UPDATED):
        merge_metadata(obj, params)
        if "phases" in params:
            _replace_phases(tx, obj, params)
    return obj


@route("POST", "/v1/subscription_schedules/{schedule}/release")
def release(tx: Tx, params: Params, schedule: str) -> Obj:
    return _release(tx, _active(tx, schedule))


@route("POST", "/v1/subscription_schedules/{schedule}/cancel")
def cancel(tx: Tx, params: Params, schedule: str) -> Obj:
    obj = _active(tx, schedule)
    subscription = tx.get("subscription", obj["subscription"])
    prorate, now = params.get("prorate", True), params.get("invoice_now", True)
    proration.close(tx, subscription, prorate=prorate, now=now)
    lifecycle.end(tx, subscription)
    return obj


@route("GET", "/v1/subscription_schedules")
def index(tx: Tx, params: Params) -> Obj:
    refuse(params, "canceled_at", "completed_at", "released_at")
    equal: dict[str, Any] = given(params, "customer")
    if params.get("scheduled"):
        equal["status"] = "not_started"
    return page(tx, "subscription_schedule", params, "/v1/subscription_schedules", **equal)


@on_timer("schedule.phase")
def phase_over(tx: Tx, schedule: Obj) -> None:
    """A phase ends. When a period ends with it, the period's own turn does the rest."""
    subscription = tx.get("subscription", schedule["subscription"])
    if lifecycle.next_turn(subscription) <= tx.now:
        tx.unschedule(subscription, "subscription.turn")
        lifecycle.turn(tx, subscription)
        return
    phase = _next(tx, schedule)
    if phase is None:
        _release(tx, schedule)
        return
    with tx.changing(schedule, UPDATED):
        schedule["current_phase"] = _span(phase)
    tx.schedule(schedule, "schedule.phase", phase["end_date"])
    change = {
        "items": _edits(subscription, phase),
        "metadata": phase["metadata"],
        "discounts": _held(tx, subscription, phase),
        **given(phase, "proration_behavior"),
    }
    subscriptions.change(tx, subscription, change)


def _at_renewal(tx: Tx, subscription: Obj) -> None:
    """The next phase's items take over just before the period that they are billed for."""
    schedule = _of(tx, subscription)
    if schedule is None or schedule["current_phase"]["end_date"] > tx.now:
        return
    phase = _next(tx, schedule)
    if phase is None:
        _release(tx, schedule)
        return
    with tx.changing(schedule, UPDATED):
        schedule["current_phase"] = _span(phase)
    tx.schedule(schedule, "schedule.phase", phase["end_date"])
    before = {lifecycle.interval(item) for item in lifecycle.items(subscription)}
    known = {item["id"] for item in lifecycle.items(subscription)}
    proration.edit(tx, subscription, _edits(subscription, phase))
    rows = lifecycle.items(subscription)
    changed = before != {lifecycle.interval(item) for item in rows}
    if changed or phase["billing_cycle_anchor"] == "phase_start":
        subscription["billing_cycle_anchor"] = tx.now
    for item in rows:
        if changed or item["id"] not in known:
            item["current_period_end"] = tx.now
    merge_metadata(subscription, {"metadata": phase["metadata"]})
    held = _held(tx, subscription, phase)
    discounts.redeem(tx, subscription, held, _subtotal(tx, subscription, phase["items"]))


def _follow(tx: Tx, subscription: Obj) -> None:
    """A subscription changed by hand changes the running phase with it."""
    schedule = _of(tx, subscription)
    if schedule is None:
        return
    with tx.changing(schedule, UPDATED):
        for phase in schedule["phases"]:
            if _span(phase) == schedule["current_phase"]:
                phase["items"] = _items_of(tx, subscription)


def _ended(tx: Tx, subscription: Obj) -> None:
    schedule = _of(tx, subscription)
    if schedule is None:
        return
    tx.unschedule(schedule)
    with tx.changing(schedule):
        schedule |= {"status": "canceled", "canceled_at": tx.now, "current_phase": None}
    tx.emit("subscription_schedule.canceled", schedule)


lifecycle.RENEWING.append(_at_renewal)
lifecycle.CHANGED.append(_follow)
lifecycle.ENDING.append(_ended)


def _release(tx: Tx, schedule: Obj) -> Obj:
    subscription = tx.get("subscription", schedule["subscription"])
    tx.unschedule(schedule)
    with tx.changing(subscription, lifecycle.UPDATED):
        subscription["schedule"] = None
    with tx.changing(schedule):
        schedule |= {
            "current_phase": None,
            "released_at": tx.now,
            "released_subscription": subscription["id"],
            "status": "released",
            "subscription": None,
        }
    tx.emit("subscription_schedule.released", schedule)
    return schedule


def _replace_phases(tx: Tx, schedule: Obj, params: Params) -> None:
    """The running phase comes first, with the start that it had; the others follow on it."""
    subscription = tx.get("subscription", schedule["subscription"])
    start = schedule["current_phase"]["start_date"]
    phases: list[Obj] = []
    for position, sent in enumerate(params["phases"]):
        phase = _phase(tx, subscription, sent, start, position)
        phases.append(phase)
        start = phase["end_date"]
    if not phases or phases[0]["end_date"] <= tx.now:
        raise StripeError("The first phase must be the current one.", param="phases[0][end_date]")
    schedule |= {"phases": phases, "current_phase": _span(phases[0])}
    tx.schedule(schedule, "schedule.phase", phases[0]["end_date"])
    change: Obj = {}
    if _named(phases[0]["items"]) != _named(_items_of(tx, subscription)):
        change["items"] = _edits(subscription, phases[0])
        change |= given(params, "proration_behavior")
    if any(entry["discount"] is None for entry in phases[0]["discounts"]):
        change["discounts"] = _held(tx, subscription, phases[0])
    if change:
        subscriptions.change(tx, subscription, change)


def _phase(tx: Tx, subscription: Obj, sent: Obj, start: int, position: int) -> Obj:
    refuse(sent, *PHASE_UNDONE)
    at = f"phases[{position}]"
    if sent.get("start_date", start) != start:
        raise StripeError(f"A phase must start at {start}.", param=f"{at}[start_date]")
    for entry in sent["items"]:
        refuse(entry, "billing_thresholds", "discounts", "price_data", "tax_rates")
        price = tx.get("price", entry.get("price", ""), f"{at}[items][price]")
        subscriptions.require_recurring(price, f"{at}[items][price]")
    _new_discounts(tx, subscription, sent)
    recurring: Obj = tx.get("price", sent["items"][0]["price"])["recurring"]
    span: Obj = {"interval_count": 1, **(sent.get("duration") or recurring)}
    end = sent.get("end_date") or boundary(start, span["interval"], span["interval_count"], 1)
    end = tx.now if end == "now" else end
    if end <= start:
        raise StripeError("A phase must end after its start.", param=f"{at}[end_date]")
    return _document(tx, subscription, (start, end)) | {
        "billing_cycle_anchor": sent.get("billing_cycle_anchor"),
        "discounts": [dict.fromkeys(DISCOUNT) | e for e in sent.get("discounts") or []],
        "items": [_item(tx, e["price"], _quantity(tx, e)) for e in sent["items"]],
        "metadata": sent.get("metadata", {}),
        "proration_behavior": sent.get("proration_behavior", "create_prorations"),
    }


def _running(tx: Tx, subscription: Obj) -> Obj:
    rows = lifecycle.items(subscription)
    span = (
        min(item["current_period_start"] for item in rows),
        min(item["current_period_end"] for item in rows),
    )
    return _document(tx, subscription, span) | {
        "discounts": [dict.fromkeys(DISCOUNT) | {"discount": d} for d in subscription["discounts"]],
        "items": _items_of(tx, subscription),
        "metadata": dict(subscription["metadata"]),
        "proration_behavior": "create_prorations",
    }


def _document(tx: Tx, subscription: Obj, span: tuple[int, int]) -> Obj:
    return tx.part("subscription_schedule_phase_configuration") | {
        "add_invoice_items": [],
        "currency": subscription["currency"],
        "default_tax_rates": [],
        "start_date": span[0],
        "end_date": span[1],
    }


def _defaults(tx: Tx, subscription: Obj) -> Obj:
    part = "invoice_setting_subscription_schedule_setting"
    return tx.part("subscription_schedules_resource_default_settings") | {
        "billing_cycle_anchor": "automatic",
        "collection_method": subscription["collection_method"],
        "invoice_settings": tx.part(part, issuer={"type": "self"}),
    }


def _items_of(tx: Tx, subscription: Obj) -> list[Obj]:
    rows = lifecycle.items(subscription)
    return [_item(tx, row["price"]["id"], row.get("quantity")) for row in rows]


def _item(tx: Tx, price: str, quantity: int | None) -> Obj:
    item = tx.part("subscription_schedule_configuration_item", price=price)
    item |= {"discounts": [], "metadata": {}, "tax_rates": []}
    return item if quantity is None else item | {"quantity": quantity}


def _quantity(tx: Tx, entry: Obj) -> int | None:
    by_usage = prices.metered(tx.get("price", entry["price"]))
    quantity: int | None = entry.get("quantity", None if by_usage else 1)
    return quantity


def _named(items: list[Obj]) -> list[tuple[str, int | None]]:
    return sorted((item["price"], item.get("quantity")) for item in items)


def _edits(subscription: Obj, phase: Obj) -> list[Obj]:
    """How the subscription's items become the phase's: same prices stay, others come and go."""
    held = {row["price"]["id"]: row["id"] for row in lifecycle.items(subscription)}
    edits = []
    for item in phase["items"]:
        known = held.pop(item["price"], None)
        entry = {"id": known} if known else {"price": item["price"], "_scheduled": True}
        edits.append(entry | given(item, "quantity"))
    return edits + [{"id": identifier, "deleted": True} for identifier in held.values()]


def _new_discounts(tx: Tx, subscription: Obj, phase: Obj) -> list[Obj]:
    """What the phase's coupons and promotion codes would make, refused when they aren't good."""
    fresh = [entry for entry in phase.get("discounts") or [] if entry.get("discount") is None]
    for entry in fresh:
        refuse(entry, "discount_end")
    return discounts.chosen(
        tx,
        [given(entry, *(name for name in DISCOUNT if entry.get(name))) for entry in fresh],
        customer=tx.get("customer", subscription["customer"]),
        currency=subscription["currency"],
        subtotal=_subtotal(tx, subscription, phase["items"]),
    )


def _subtotal(tx: Tx, subscription: Obj, items: list[Obj]) -> int:
    """What a period of a phase's items costs, without what is counted."""
    currency = subscription["currency"]
    counts = [(tx.get("price", item["price"]), _quantity(tx, item)) for item in items]
    return sum(prices.line_amount(price, currency, count) for price, count in counts if count)


def _held(tx: Tx, subscription: Obj, phase: Obj) -> list[Obj]:
    """The phase's discounts, without those that are used up or not good any more by now."""
    sent = [{k: v for k, v in entry.items() if v is not None} for entry in phase["discounts"]]
    held = [e for e in sent if e.get("discount") in (None, *subscription["discounts"])]
    return [e for e in held if "discount" in e or _good(tx, subscription, phase, e)]


def _good(tx: Tx, subscription: Obj, phase: Obj, entry: Obj) -> bool:
    try:
        return bool(_new_discounts(tx, subscription, {**phase, "discounts": [entry]}))
    except StripeError:
        return False


def _next(tx: Tx, schedule: Obj) -> Obj | None:
    running = [p for p in schedule["phases"] if p["start_date"] <= tx.now < p["end_date"]]
    return running[0] if running else None


def _of(tx: Tx, subscription: Obj) -> Obj | None:
    return tx.store.find(subscription["schedule"]) if subscription["schedule"] else None


def _active(tx: Tx, identifier: str) -> Obj:
    schedule = tx.get("subscription_schedule", identifier)
    if schedule["status"] != "active":
        raise StripeError(
            f"This schedule can no longer be changed; it is {schedule['status']}.", param="schedule"
        )
    return schedule


def _span(phase: Obj) -> Obj:
    return {"start_date": phase["start_date"], "end_date": phase["end_date"]}


def _check(subscription: Obj, params: Params) -> None:
    _check_end(params)
    if subscription["schedule"]:
        raise StripeError(
            "You cannot migrate a subscription that is already attached to a schedule: "
            f"{subscription['schedule']}.",
            param="from_subscription",
        )
    if subscription["status"] not in ("active", "trialing", "past_due"):
        raise StripeError(
            f"A subscription that is {subscription['status']} can't be scheduled.",
            param="from_subscription",
        )


def _check_end(params: Params) -> None:
    if params.get("end_behavior", "release") != "release":
        raise StripeError("This sandbox releases schedules at their end.", param="end_behavior")
