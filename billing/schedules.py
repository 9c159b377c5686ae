"""Changes that wait for the end of a period: a schedule at Stripe with what is and what follows.

Two writes make one: the schedule of the subscription as it stands, and in the transaction of its
success the intent to add the phase that follows. A schedule without it releases itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from billing import changing, gateway, operations, pending, projection
from billing.models import StripeOperation, Subscription


def begin(row: Subscription, agreed: Mapping[str, Any]) -> StripeOperation:
    """Write the intent, in the caller's scope and under the account's lock; once a promise."""
    return operations.begin_once(
        SCHEDULE,
        subject=changing.subject(row, agreed),
        params={
            "from_subscription": row.stripe_id,
            **changing.noted(agreed),
            "_items": agreed["items"],
            "_interval": agreed["interval"],
            "_discounts": agreed["discounts"],
        },
    )


def _schedule_made(operation: StripeOperation, schedule: gateway.Object) -> None:
    """The schedule stands for what is now; give it the phase that follows.

    An update replaces the phases, so what the running one has is said again.
    """
    now = schedule["phases"][-1]
    discounts = [
        {"discount": projection.reference(one["discount"])}
        for one in now.get("discounts") or []
        if one.get("discount")
    ]
    tax = {"enabled": True} if (now.get("automatic_tax") or {}).get("enabled") else None
    then = [
        {name: item[name] for name in ("price", "quantity") if name in item}
        for item in operation.params["_items"]
        if not item.get("deleted")
    ]
    phases = [
        {
            "items": [_again(item) for item in now["items"]],
            "start_date": now["start_date"],
            "end_date": now["end_date"],
            "proration_behavior": "none",
            **given(discounts=discounts, trial_end=now.get("trial_end"), automatic_tax=tax),
        },
        {
            "items": then,
            "duration": {"interval": operation.params["_interval"], "interval_count": 1},
            "proration_behavior": "none",
            **given(discounts=operation.params["_discounts"] or discounts, automatic_tax=tax),
        },
    ]
    operations.begin(
        PHASES,
        subject=schedule["id"],
        params={"_schedule": schedule["id"], "end_behavior": "release", "phases": phases},
    )


def _again(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of a phase as it is sent back; what is counted has no quantity."""
    return given(price=projection.reference(item["price"]), quantity=item.get("quantity"))


def given(**values: Any) -> dict[str, Any]:
    """Return those parameters that say something."""
    return {name: value for name, value in values.items() if value}


def _look_scheduled(operation: StripeOperation) -> gateway.Object | None:
    subscription = gateway.get(f"/v1/subscriptions/{operation.params['from_subscription']}")
    schedule = projection.reference(subscription.get("schedule"))
    return gateway.get(f"/v1/subscription_schedules/{schedule}") if schedule else None


def _look_phased(operation: StripeOperation) -> gateway.Object | None:
    found = gateway.get(f"/v1/subscription_schedules/{operation.params['_schedule']}")
    return found if len(found["phases"]) == len(operation.params["phases"]) else None


def _look_released(operation: StripeOperation) -> gateway.Object | None:
    found = gateway.get(f"/v1/subscription_schedules/{operation.params['_schedule']}")
    return found if found["status"] in ("released", "canceled", "completed") else None


SCHEDULE = operations.register(
    operations.Kind(
        "schedule.create",
        "/v1/subscription_schedules",
        _look_scheduled,
        effect=_schedule_made,
        refusal=pending.tell_refusal,
        give_up_when_stale=True,
    )
)
PHASES = operations.register(
    operations.Kind("schedule.update", "/v1/subscription_schedules/{_schedule}", _look_phased)
)
RELEASE = operations.register(
    operations.Kind(
        "schedule.release", "/v1/subscription_schedules/{_schedule}/release", _look_released
    )
)
