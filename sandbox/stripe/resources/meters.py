"""Billing meters and their events: usage as it is reported, once per identifier and day.

Events are raw: each counts. They are taken up to 35 days late and 5 minutes early, and can be taken
back for a day. An identifier is refused for 24 hours after its first use and not longer, because
Stripe promises no more than that.
"""

import re
from decimal import Decimal

from sandbox.stripe import usage
from sandbox.stripe.context import Tx, listing
from sandbox.stripe.errors import StripeError
from sandbox.stripe.periods import DAY
from sandbox.stripe.registry import Params, given, page, refuse, route
from sandbox.stripe.resources import customers
from sandbox.stripe.store import Obj, token

LATE, EARLY = 35 * DAY, 300
UPDATED = "billing.meter.updated"
WINDOWS = {"hour": 3600, "day": DAY}


@route("POST", "/v1/billing/meters")
def create(tx: Tx, params: Params) -> Obj:
    refuse(params, "event_time_window")
    if _active(tx, params["event_name"]) is not None:
        raise StripeError(
            f"An active meter with event name {params['event_name']} already exists.",
            code="resource_already_exists", param="event_name",
        )  # fmt: skip
    mapping = params.get("customer_mapping", {"event_payload_key": "stripe_customer_id"})
    meter = tx.new(
        "billing.meter",
        customer_mapping={"type": "by_id", **mapping},
        default_aggregation=params["default_aggregation"],
        display_name=params["display_name"],
        event_name=params["event_name"],
        status="active",
        status_transitions={"deactivated_at": None},
        updated=tx.now,
        value_settings=params.get("value_settings", {"event_payload_key": "value"}),
    )
    tx.emit("billing.meter.created", meter)
    return meter


@route("GET", "/v1/billing/meters/{id}")
def retrieve(tx: Tx, params: Params, meter: str) -> Obj:
    return tx.get("billing.meter", meter)


@route("POST", "/v1/billing/meters/{id}")
def update(tx: Tx, params: Params, meter: str) -> Obj:
    obj = tx.get("billing.meter", meter)
    with tx.changing(obj, UPDATED):
        obj["display_name"] = params.get("display_name", obj["display_name"])
        obj["updated"] = tx.now
    return obj


@route("POST", "/v1/billing/meters/{id}/deactivate")
def deactivate(tx: Tx, params: Params, meter: str) -> Obj:
    return _switch(tx, meter, "active", "inactive", "billing.meter.deactivated")


@route("POST", "/v1/billing/meters/{id}/reactivate")
def reactivate(tx: Tx, params: Params, meter: str) -> Obj:
    return _switch(tx, meter, "inactive", "active", "billing.meter.reactivated")


@route("GET", "/v1/billing/meters")
def index(tx: Tx, params: Params) -> Obj:
    return page(tx, "billing.meter", params, "/v1/billing/meters", **given(params, "status"))


@route("POST", "/v1/billing/meter_events")
def report(tx: Tx, params: Params) -> Obj:
    meter = _active(tx, params["event_name"])
    if meter is None:
        raise StripeError(
            f"No active meter found for event name {params['event_name']}.",
            code="resource_missing", param="event_name",
        )  # fmt: skip
    at = params.get("timestamp", tx.now)
    if not tx.now - LATE <= at <= tx.now + EARLY:
        raise StripeError(
            "The timestamp must be within the past 35 calendar days and not more than 5 minutes "
            "in the future.",
            code="timestamp_invalid", param="timestamp",
        )  # fmt: skip
    payload = params["payload"]
    customer = _payload(payload, meter["customer_mapping"]["event_payload_key"])
    customers.existing(tx, customer, "payload")
    value = _value(meter, payload)
    identifier = params.get("identifier") or token(32)
    if _recent(tx, identifier) is not None:
        raise StripeError(
            f"An event already exists with identifier {identifier}.",
            code="resource_already_exists", param="identifier",
        )  # fmt: skip
    tx.store.run(
        "INSERT INTO usage (meter, customer, identifier, at, value, arrived) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        *(meter["id"], customer, identifier, at, value, tx.now),
    )
    return {
        "object": "billing.meter_event",
        "created": tx.now,
        "event_name": meter["event_name"],
        "identifier": identifier,
        "livemode": False,
        "payload": payload,
        "timestamp": at,
    }


@route("POST", "/v1/billing/meter_event_adjustments")
def adjust(tx: Tx, params: Params) -> Obj:
    """Takes back an event that arrived within the last day."""
    identifier = params.get("cancel", {}).get("identifier")
    if identifier is None:
        raise StripeError(
            "Missing required param: cancel[identifier].",
            code="parameter_missing",
            param="cancel[identifier]",
        )
    meter, found = _active(tx, params["event_name"]), _recent(tx, identifier)
    if meter is None or found is None or found[1] != meter["id"]:
        raise StripeError(
            f"No event of the last 24 hours has the identifier {identifier}.",
            code="resource_missing", param="cancel[identifier]",
        )  # fmt: skip
    tx.store.run("UPDATE usage SET meter = '' WHERE seq = ?", found[0])
    return {
        "object": "billing.meter_event_adjustment",
        "cancel": {"identifier": identifier},
        "event_name": params["event_name"],
        "livemode": False,
        "status": "complete",
        "type": "cancel",
    }


@route("GET", "/v1/billing/meters/{id}/event_summaries")
def summaries(tx: Tx, params: Params, meter: str) -> Obj:
    """One summary of the whole span, or one for each hour or day in it that had events."""
    obj = tx.get("billing.meter", meter)
    start, end = params["start_time"], params["end_time"]
    step = WINDOWS.get(params.get("value_grouping_window", ""), 0)
    if start % (step or 60) or end % (step or 60) or start >= end:
        raise StripeError(
            "start_time and end_time must be in order and aligned with minutes, or with the "
            "grouping window in UTC.",
            param="start_time",
        )
    spans = [(at, at + step) for at in range(start, end, step)] if step else [(start, end)]
    rows = [_summary(tx, obj["id"], params["customer"], *span) for span in spans[::-1]]
    found = [row for row in rows if row["aggregated_value"]]
    identifiers = [row["id"] for row in found]
    after = params.get("starting_after")
    begin = identifiers.index(after) + 1 if after in identifiers else 0
    stop = begin + params.get("limit", 10)
    url = f"/v1/billing/meters/{meter}/event_summaries"
    return listing(found[begin:stop], url, has_more=len(found) > stop)


def _summary(tx: Tx, meter: str, customer: str, start: int, end: int) -> Obj:
    return {
        "id": f"mtrusg_test_{start}_{end}_{meter[-8:]}_{customer[-8:]}",
        "object": "billing.meter_event_summary",
        "aggregated_value": float(usage.total(tx, meter, customer, start, end)),
        "end_time": end,
        "livemode": False,
        "meter": meter,
        "start_time": start,
    }


def _active(tx: Tx, event_name: str) -> Obj | None:
    found = tx.store.select("billing.meter", event_name=event_name, status="active")
    return found[0] if found else None


def _recent(tx: Tx, identifier: str) -> tuple[int, str] | None:
    sql = "SELECT seq, meter FROM usage WHERE identifier = ? AND arrived > ?"
    row = tx.store.one(sql, identifier, tx.now - DAY)
    return None if row is None else (row[0], row[1])


def _payload(payload: Obj, key: str) -> str:
    if not payload.get(key):
        raise StripeError(
            f"The payload must have a `{key}`.", code="parameter_missing", param=f"payload[{key}]"
        )
    return str(payload[key])


def _value(meter: Obj, payload: Obj) -> str:
    if meter["default_aggregation"]["formula"] == "count":
        return "1"
    key = meter["value_settings"]["event_payload_key"]
    sent = _payload(payload, key)
    if not re.fullmatch(r"-?\d{1,15}(\.\d{1,12})?", sent):
        raise StripeError(f"Invalid number: {sent}", param=f"payload[{key}]")
    return str(Decimal(sent))


def _switch(tx: Tx, identifier: str, before: str, after: str, event: str) -> Obj:
    meter = tx.get("billing.meter", identifier)
    if meter["status"] != before:
        raise StripeError(f"This meter is {meter['status']} already.")
    with tx.changing(meter):
        meter["status"] = after
        meter["updated"] = tx.now
        stamp = tx.now if after == "inactive" else None
        meter["status_transitions"]["deactivated_at"] = stamp
    tx.emit(event, meter)
    return meter
