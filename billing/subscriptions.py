"""A brand's subscription: cancel at the period's end, take that back, end a duplicate."""

from __future__ import annotations

from accounts.models import Brand, User
from billing import gateway, operations, projection, standing
from billing.models import LIVE_STATUSES, StripeOperation, Subscription
from saas import audit
from saas.errors import Refused
from saas.tenancy import scope


def cancel(*, brand: Brand, actor: User, reason: str = "") -> None:
    """Let the subscription end with the period that is paid for. Safe to repeat; audited."""
    _set_ending(brand, actor=actor, ending=True, reason=reason)


def resume(*, brand: Brand, actor: User) -> None:
    """Take a cancellation back before the period ends. Safe to repeat; audited."""
    _set_ending(brand, actor=actor, ending=False, reason="")


def _set_ending(brand: Brand, *, actor: User, ending: bool, reason: str) -> None:
    """Tell Stripe, then project what it now says. Call outside of any scope.

    Raises Refused("no_subscription"), or Retryable when Stripe doesn't answer: the wish is kept and
    carried out later.
    """
    with scope(brand):
        standing.locked(brand.pk)
        row = live()
        if row is None:
            raise Refused("no_subscription", "You have no plan to change.")
        if row.cancel_at_period_end == ending:
            return
        _withdraw(row.stripe_id)
        operation = operations.begin(
            UPDATE,
            subject=f"{row.stripe_id} {'ends' if ending else 'goes on'}",
            params={"_subscription": row.stripe_id, "cancel_at_period_end": ending},
        )
        audit.record(
            "subscription.cancelled" if ending else "subscription.resumed",
            row,
            actor=actor,
            reason=reason,
            changes={"cancel_at_period_end": [not ending, ending]},
        )
    operations.run(operation)
    projection.subscription(row.stripe_id)


def _withdraw(stripe_id: str) -> None:
    """The last word counts: an opposite wish that still waits is not sent any more."""
    waiting = StripeOperation.objects.filter(
        kind=UPDATE.name, params___subscription=stripe_id, state=StripeOperation.State.PENDING
    )
    waiting.filter(lease_until=None).update(
        state=StripeOperation.State.FAILED, error_code="superseded"
    )


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


def _fetch(operation: StripeOperation) -> gateway.Object:
    return gateway.get(f"/v1/subscriptions/{operation.params['_subscription']}")


def _look_updated(operation: StripeOperation) -> gateway.Object | None:
    found = _fetch(operation)
    wanted = operation.params["cancel_at_period_end"]
    return found if found["cancel_at_period_end"] == wanted else None


def _look_ended(operation: StripeOperation) -> gateway.Object | None:
    found = _fetch(operation)
    return found if found["status"] == "canceled" else None


UPDATE = operations.register(
    operations.Kind(
        "subscription.update",
        "/v1/subscriptions/{_subscription}",
        _look_updated,
        give_up_when_stale=True,
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
