"""A brand's subscription: cancel at the period's end, take that back, end a duplicate."""

from __future__ import annotations

from contextlib import suppress

from django.utils import timezone

from accounts import privacy
from accounts.models import Brand, User
from billing import gateway, operations, projection, standing
from billing.models import LIVE_STATUSES, StripeOperation, Subscription
from saas import audit
from saas.errors import Refused, Retryable
from saas.tenancy import scope

PLANNED = "A change of plan is planned. Take it back, then cancel."
State = StripeOperation.State


def cancel(*, brand: Brand, actor: User, reason: str = "") -> None:
    """Let the subscription end with the period that is paid for. Safe to repeat; audited."""
    _set_ending(brand, actor=actor, ending=True, reason=reason)


def resume(*, brand: Brand, actor: User) -> None:
    """Take a cancellation back before the period ends. Safe to repeat; audited."""
    _set_ending(brand, actor=actor, ending=False, reason="")


def _set_ending(brand: Brand, *, actor: User, ending: bool, reason: str) -> None:
    """Tell Stripe, then project what it now says. Call outside of any scope.

    The last word counts: the newest wish replaces those that wait, and follows one that is at
    Stripe (`operations.Kind.line`). It is sent even if our row seems to agree with it, since an
    earlier wish may have arrived without our knowing. A planned change that is still on its way is
    taken back first (`billing.schedules`). Locks the account while it is written.

    Raises Refused("no_subscription"; "planned": a change waits for the period's end; "waiting": one
    waits for the bank; "superseded" by a later wish; "brand_closed"), or Retryable or Misconfigured
    when Stripe gives no answer: the wish is kept then, and the sweep carries it out, however long
    that takes.
    """
    with scope(brand):
        standing.locked(brand.pk)
        privacy.refuse_when_closed()
        row = live()
        if row is None:
            raise Refused("no_subscription", "You have no plan to change.")
        if ending and row.schedule:
            raise Refused("planned", PLANNED)
        if ending and row.waits:
            raise Refused("waiting", "A change waits for your bank. Take it back, then cancel.")
        operation = _waiting(row)
        if operation is None or _wishes_end(operation) != ending:
            operation = _begin(row, ending=ending)
            audit.record(
                "subscription.cancelled" if ending else "subscription.resumed",
                row,
                actor=actor,
                reason=reason,
                changes={"cancel_at_period_end": [not ending, ending]},
            )
    _carry_out(brand, row, operation)
    with scope(brand):
        rest = None if ending else _waiting(row)
    if rest:
        operations.run(rest)
    with suppress(Retryable):  # it is done at Stripe, whose event brings the news too
        projection.subscription(row.stripe_id)


def _carry_out(brand: Brand, row: Subscription, operation: StripeOperation) -> None:
    """Run what must come first, then the wish; call outside of any scope."""
    while before := _before(brand, operation):
        with suppress(Refused):  # what is taken back may as well have failed
            operations.run(before)
    try:
        operations.run(operation)
    except Refused as e:
        projection.subscription(row.stripe_id)
        with scope(brand):
            row.refresh_from_db(fields=["schedule"])
        if row.schedule:  # a planned change of which we had not heard
            raise Refused("planned", PLANNED) from e
        raise


def _begin(row: Subscription, *, ending: bool) -> StripeOperation:
    word = "ends" if ending else "goes on"
    return operations.begin(
        UPDATE,
        subject=f"{row.stripe_id} {word}, said {timezone.now().isoformat()}",
        params={"_subscription": row.stripe_id, "cancel_at_period_end": ending},
    )


def _before(brand: Brand, operation: StripeOperation) -> StripeOperation | None:
    with scope(brand):
        found: StripeOperation | None = operations.ahead(operation).first()
        return found


def _waiting(row: Subscription) -> StripeOperation | None:
    """The last wish about a subscription of the scope, if Stripe has not answered it yet."""
    pending = operations.in_line(UPDATE, row.stripe_id).filter(state=State.PENDING)
    found: StripeOperation | None = pending.first()
    return found


def wish(row: Subscription) -> bool | None:
    """Tell whether a subscription of the scope is going to end (True) or to go on (False) by a
    wish that is still on its way to Stripe; None when there is none. One that waits for a person of
    ours is on its way too."""
    last = operations.in_line(UPDATE, row.stripe_id).first()
    on_its_way = last is not None and last.state in (State.PENDING, State.STUCK)
    return _wishes_end(last) if last and on_its_way else None


def _wishes_end(operation: StripeOperation) -> bool:
    return bool(operation.params.get("cancel_at_period_end"))


def ends(row: Subscription) -> bool:
    """Tell whether a subscription of the scope is going to end with its period: as Stripe has it,
    or by a wish that is on its way there."""
    wished = wish(row)
    return row.cancel_at_period_end if wished is None else wished


def live() -> Subscription | None:
    """Return the live subscription of the scope's brand."""
    rows = Subscription.objects.filter(status__in=LIVE_STATUSES, duplicate=False)
    found: Subscription | None = rows.first()
    return found


def begin_cancel_duplicate(row: Subscription) -> StripeOperation:
    """Write the intent to end a second subscription at once, in the caller's transaction.

    What was paid and not used becomes credit on the customer's balance, used by the next invoice.
    """
    return operations.begin(
        CANCEL_NOW,
        subject=row.stripe_id,
        params={"_subscription": row.stripe_id, "prorate": True, "invoice_now": True},
    )


def begin_cancel_trial(row: Subscription) -> StripeOperation:
    """Write the intent to end a trial at once, in the caller's transaction: nothing was paid, so
    nothing is billed or credited. A worker carries it out."""
    operation = operations.begin(
        CANCEL_NOW, subject=row.stripe_id, params={"_subscription": row.stripe_id}
    )
    operations.soon(operation)
    return operation


def being_cancelled() -> bool:
    """Tell whether a subscription of the scope that was set aside is alive at Stripe, or its
    cancellation on its way there."""
    on_its_way = StripeOperation.objects.filter(
        kind=CANCEL_NOW.name, state__in=(State.PENDING, State.STUCK)
    )
    set_aside = Subscription.objects.filter(status__in=LIVE_STATUSES, duplicate=True)
    return bool(on_its_way.exists() or set_aside.exists())


def _fetch(operation: StripeOperation) -> gateway.Object:
    return gateway.get(f"/v1/subscriptions/{operation.params['_subscription']}")


def _look_updated(operation: StripeOperation) -> gateway.Object | None:
    found = _fetch(operation)
    there = bool(found.get("cancel_at_period_end") or found.get("cancel_at"))
    return found if there == _wishes_end(operation) else None


def _updated(operation: StripeOperation, found: gateway.Object) -> None:
    """To go on takes a second write when Stripe's portal set the moment of the end, which Stripe
    keeps when it is only told not to end with the period. A later wish is the last word."""
    stripe_id = operation.params["_subscription"]
    if _wishes_end(operation) or not found.get("cancel_at"):
        return
    pending = operations.in_line(UPDATE, stripe_id).filter(state=State.PENDING)
    if not pending.exclude(pk=operation.pk).exists():
        operations.begin(
            UPDATE,
            subject=f"{stripe_id} has no end, said {operation.pk}",
            params={"_subscription": stripe_id, "cancel_at": ""},
        )


def _look_ended(operation: StripeOperation) -> gateway.Object | None:
    found = _fetch(operation)
    return found if found["status"] == "canceled" else None


UPDATE = operations.register(
    operations.Kind(
        "subscription.update",
        "/v1/subscriptions/{_subscription}",
        _look_updated,
        effect=_updated,
        line="_subscription",
        follows=("schedule.create", "schedule.update", "schedule.release"),
    )
)
CANCEL_NOW = operations.register(
    operations.Kind(
        "subscription.cancel_now",
        "/v1/subscriptions/{_subscription}",
        _look_ended,
        method="delete",
    )
)
