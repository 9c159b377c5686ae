"""A change of plan as Stripe is asked for it: one at a time, also through an outage.

A change that Stripe has not answered is kept and carried out by the sweep. Until its outcome is in
our row, no other is taken. Refused because the bank wants to hear the payer, it is asked for again
as a pending update (billing.pending), in the transaction that notes the refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Brand
from billing import catalog, gateway, operations, pending
from billing.catalog import Offer
from billing.models import StripeOperation, Subscription
from saas.errors import Refused
from saas.tenancy import scope

State = StripeOperation.State
PHASES = "schedule.update"
KINDS = ("subscription.change", pending.ASK.name, "schedule.create", PHASES)


def subject(row: Subscription, agreed: Mapping[str, Any]) -> str:
    """Name a promise: the offer and its code too, since two may be made in one second."""
    codes = [one["promotion_code"] for one in agreed["discounts"] if "promotion_code" in one]
    offer = f"{agreed['plan']} x {agreed['seats']}, a {agreed['interval']},"
    return " ".join([row.stripe_id, "to", offer, *codes, f"at {agreed['at']}"])


def noted(agreed: Mapping[str, Any]) -> dict[str, Any]:
    """What an operation keeps of its promise for us; Stripe isn't sent it."""
    return {f"_{name}": agreed[name] for name in ("plan", "interval", "seats", "version")}


def require_alone(row: Subscription, agreed: Mapping[str, Any]) -> None:
    """Raise Refused("on_its_way") when another change is not in our row yet, and
    Refused("out_of_date") when the row isn't the one that was previewed. Under the account's lock,
    in the transaction that writes the intent."""
    row.refresh_from_db()
    if (row.stripe_id, row.version) != (agreed["subscription"], agreed["version"]):
        raise Refused("out_of_date", "Your plan changed meanwhile. Look at the change again.")
    ours = _all().filter(subject=subject(row, agreed))
    unseen = Q(state=State.PENDING) | Q(state=State.DONE, params___version=row.version)
    if not ours.exists() and _all().filter(unseen).exists():
        raise Refused("on_its_way", "Another change is on its way. Look again.")


def _all() -> QuerySet[StripeOperation]:
    return StripeOperation.objects.filter(kind__in=KINDS)


def on_its_way(row: Subscription) -> Offer | None:
    """Return what a subscription of the scope becomes by a change that Stripe has not answered."""
    return last(row) if _all().filter(state=State.PENDING).exists() else None


def require_answered(row: Subscription) -> None:
    """Raise Refused("on_its_way") while Stripe has not answered a change. In the scope."""
    coming = on_its_way(row)
    if coming:
        words = f"Your change to {coming.plan.name} is on its way to Stripe. Look again."
        raise Refused("on_its_way", words)


def last(row: Subscription) -> Offer | None:
    """Return the offer that the newest change of the scope was for, whatever became of it."""
    newest = _all().filter(params__has_key="_plan").order_by("-created_at", "-pk").first()
    if newest is None:
        return None
    params = newest.params
    return catalog.offer(params["_plan"], params["_interval"], row.currency, params["_seats"])


def begin(row: Subscription, before: Offer, agreed: Mapping[str, Any]) -> StripeOperation:
    """Write the intent of a change at once, in the scope and under the account's lock; once a
    promise."""
    discounts = {"discounts": agreed["discounts"]} if agreed["discounts"] else {}
    return operations.begin_once(
        CHANGE,
        subject=subject(row, agreed),
        params={
            "_subscription": row.stripe_id,
            "_metered": bool(before.plan.metered),
            **noted(agreed),
            "items": agreed["items"],
            "proration_behavior": "always_invoice",
            "proration_date": agreed["at"],
            "payment_behavior": "error_if_incomplete",
            **discounts,
        },
    )


def settle(brand: Brand, operation: StripeOperation) -> gateway.Object:
    """Change at once; if the bank wants to hear the payer, ask again and let it wait for that.

    Raises as `operations.run`; the words of a refusal say what to do where Stripe's don't.
    """
    try:
        return operations.run(operation)
    except Refused as e:
        with scope(brand):
            asked = pending.asked(operation)
        if asked is None:
            raise Refused(e.code, pending.words(e.code, e.message, operation)) from e
    return operations.run(asked)


def _refused(operation: StripeOperation) -> None:
    if pending.may_wait(operation):
        pending.begin(operation)
    else:
        pending.tell_refusal(operation)


def _look_changed(operation: StripeOperation) -> gateway.Object | None:
    found = gateway.get(f"/v1/subscriptions/{operation.params['_subscription']}")
    there = {(item["price"]["id"], item.get("quantity")) for item in found["items"]["data"]}
    wanted = {
        (item["price"], item.get("quantity"))
        for item in operation.params["items"]
        if not item.get("deleted")
    }
    return found if there == wanted else None


CHANGE = operations.register(
    operations.Kind(
        "subscription.change",
        "/v1/subscriptions/{_subscription}",
        _look_changed,
        refusal=_refused,
        give_up_when_stale=True,
        line="_subscription",
    )
)
