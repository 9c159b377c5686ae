"""Changes that wait for the end of a period: a schedule at Stripe with what is and what follows.

Two writes make one: the schedule of the subscription as it stands, and in the transaction of its
success the intent to add the phase that follows. When Stripe refuses that phase, the schedule is
released, since an empty one would stand in the way of every other change. It is released as well
when the person wished meanwhile that the plan ends: the last word counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from accounts.models import Brand
from billing import (
    change_intents,
    gateway,
    operations,
    pending,
    projection,
    standing,
    subscriptions,
)
from billing.models import StripeOperation, Subscription
from saas.celery import wake
from saas.errors import Misconfigured, Refused, Retryable
from saas.tenancy import scope


def begin(row: Subscription, agreed: Mapping[str, Any]) -> StripeOperation:
    """Write the intent, in the caller's scope and under the account's lock; once a promise.

    Raises Refused("ending" | "on_its_way") while a wish to end or to go on waits for Stripe.
    """
    wished = subscriptions.wish(row)
    if wished:
        raise Refused("ending", "Your plan is about to end. Keep it first, then change it.")
    if wished is False:
        words = "Your wish to keep the plan is on its way to Stripe. Try again in a few minutes."
        raise Refused("on_its_way", words)
    return operations.begin_once(
        SCHEDULE,
        subject=change_intents.subject(row, agreed),
        params={
            "from_subscription": row.stripe_id,
            "_subscription": row.stripe_id,
            **change_intents.noted(agreed),
            "_items": agreed["items"],
            "_interval": agreed["interval"],
            "_discounts": agreed["discounts"],
        },
    )


def carry_out(brand: Brand, operation: StripeOperation) -> None:
    """Make the schedule and its phases; call outside of any scope. Safe to repeat.

    Raises Refused("not_planned": nothing changed; or Stripe's reason when there is no schedule),
    Retryable or Misconfigured, when the sweep will go on later.
    """
    schedule = operations.run(operation)["id"]
    with scope(brand):
        phases = StripeOperation.objects.filter(kind=PHASES.name, subject=schedule).first()
    if phases is None:
        raise Refused("superseded", "Your plan doesn't change: you chose otherwise meanwhile.")
    try:
        operations.run(phases)
    except Refused as e:
        with scope(brand):
            released = StripeOperation.objects.filter(kind=RELEASE.name, subject=schedule).first()
        if released:
            with suppress(Retryable, Misconfigured):  # it is released later, by the sweep
                operations.run(released)
        how = "with this promotion code" if operation.params["_discounts"] else "like this"
        words = f"Stripe can't plan the change {how}. Your plan stays as it is."
        raise Refused("not_planned", words) from e


def begin_release(stripe_id: str, schedule: str) -> StripeOperation:
    """Write the intent to take a schedule off its subscription, in the caller's transaction."""
    params = {"_schedule": schedule, "_subscription": stripe_id}
    return operations.begin(RELEASE, subject=schedule, params=params)


def _taken_back(operation: StripeOperation, schedule: str) -> bool:
    """Release a schedule whose person has said otherwise since; tell whether it is so. Locks the
    account, so that a wish is written either before this or after it, never beside it."""
    row = Subscription.objects.filter(stripe_id=operation.params["_subscription"]).first()
    if row is None:
        return False
    standing.locked(row.brand_id)
    row.refresh_from_db(fields=["cancel_at_period_end"])
    if subscriptions.wish(row) is None and not row.cancel_at_period_end:
        return False
    operations.soon(begin_release(row.stripe_id, schedule))
    return True


def _schedule_made(operation: StripeOperation, schedule: gateway.Object) -> None:
    """The schedule stands for what is now; give it the phase that follows, if that is wanted."""
    if _taken_back(operation, schedule["id"]):
        return
    operations.begin(
        PHASES,
        subject=schedule["id"],
        params={
            "_schedule": schedule["id"],
            "_subscription": operation.params["_subscription"],
            **{name: operation.params.get(name) for name in ("_plan", "_interval", "_seats")},
            "end_behavior": "release",
            "phases": _phases(operation, schedule),
        },
    )


def _phases(operation: StripeOperation, schedule: gateway.Object) -> list[dict[str, Any]]:
    """An update replaces the phases, so what the running one has is said again."""
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
    return [
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


def _phased(operation: StripeOperation, schedule: gateway.Object) -> None:
    """Show the planned change, unless it isn't wanted any more."""
    if not _taken_back(operation, schedule["id"]):
        wake("billing.subscriptions.refresh", operation.params["_subscription"])


def _not_phased(operation: StripeOperation) -> None:
    """An empty schedule would refuse whatever the person asks for next."""
    stripe_id, schedule = operation.params["_subscription"], operation.params["_schedule"]
    operations.soon(begin_release(stripe_id, schedule))
    pending.tell_refusal(operation)


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
        follows=("schedule.release",),
    )
)
PHASES = operations.register(
    operations.Kind(
        "schedule.update",
        "/v1/subscription_schedules/{_schedule}",
        _look_phased,
        effect=_phased,
        refusal=_not_phased,
    )
)
RELEASE = operations.register(
    operations.Kind(
        "schedule.release", "/v1/subscription_schedules/{_schedule}/release", _look_released
    )
)
