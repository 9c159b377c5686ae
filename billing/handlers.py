"""Which of our projections an event concerns. The payload only names the object; we refetch it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from billing import checkout, projection, promotions

# The longest matching prefix decides. Types without a handler reach the mirror only.
HANDLERS: dict[str, Callable[[str], bool]] = {
    "customer.subscription.": projection.subscription,
    "subscription_schedule.": projection.subscription,
    "customer.created": projection.customer,
    "customer.updated": projection.customer,
    "customer.deleted": projection.customer,
    "invoice.": projection.invoice,
    "checkout.session.": checkout.refresh,
    "customer.discount.": promotions.refresh,
    "promotion_code.": promotions.refresh,
}


def project(event: dict[str, Any]) -> bool:
    """Refetch and project the event's object; False when it is nothing of ours.

    Raises Retryable, Misconfigured, Refused. Safe to repeat.
    """
    handler = _handler(event["type"])
    stripe_id = _subject(event)
    if handler is None or not stripe_id:  # invoice.upcoming has no id: it isn't there yet
        return False
    return handler(stripe_id)


def _subject(event: dict[str, Any]) -> str:
    """The id of the object to fetch: of a discount, the code that was redeemed; of a schedule, the
    subscription that it plans, or did until it was released."""
    found = event["data"]["object"]
    if found.get("object") == "subscription_schedule":
        return projection.reference(found.get("subscription") or found.get("released_subscription"))
    if found.get("object") == "discount":
        return projection.reference(found.get("promotion_code"))
    return projection.reference(found)


def _handler(event_type: str) -> Callable[[str], bool] | None:
    fitting = [prefix for prefix in HANDLERS if event_type.startswith(prefix)]
    return HANDLERS[max(fitting, key=len)] if fitting else None
