"""Pending updates (`payment_behavior=pending_if_incomplete`): a change that waits for its invoice.

The invoice is made and the payment tried. When it isn't paid at once, the subscription goes on as
it was, and the change stands in `pending_update`: it is applied when the invoice is paid, and given
up when that is voided, by a person or after 23 hours (or with the period, if that ends earlier).
A second pending update takes the place of the first, whose invoice is voided.
"""

import copy
from typing import Any

from sandbox.stripe import billing, lifecycle, proration
from sandbox.stripe.context import Tx, public
from sandbox.stripe.errors import StripeError
from sandbox.stripe.registry import Params, on_timer
from sandbox.stripe.store import Obj

EXPIRE_AFTER = 23 * 3600
SUPPORTED = {"items", "payment_behavior", "proration_behavior", "proration_date", "expand"}
SUPPORTED_OF_ITEMS = {"id", "price", "quantity"}
CHANGED = ("items", "billing_cycle_anchor")


def change(tx: Tx, subscription: Obj, params: Params) -> Obj:
    """Changes the subscription if that is paid for at once; otherwise the change is pending."""
    _check(params)
    _void(tx, subscription)
    before, invoice_before = _state(subscription), subscription["latest_invoice"]
    with tx.changing(subscription, lifecycle.UPDATED):
        proration.change(tx, subscription, params)
        invoice = tx.get("invoice", subscription["latest_invoice"])
        if invoice["id"] != invoice_before and invoice["status"] == "open":
            _hold(tx, subscription, invoice, before)
    _tell(tx, subscription)
    return subscription


def _check(params: Params) -> None:
    named = set(params) - SUPPORTED
    named |= {f"items[{name}]" for entry in params["items"] for name in entry} - {
        f"items[{name}]" for name in SUPPORTED_OF_ITEMS
    }
    if named:
        raise StripeError(
            f"You passed `{min(named)}` with `payment_behavior=pending_if_incomplete`, which "
            "doesn't support it.",
            param=min(named),
        )


def _state(subscription: Obj) -> dict[str, Any]:
    return copy.deepcopy({name: subscription[name] for name in CHANGED})


def _hold(tx: Tx, subscription: Obj, invoice: Obj, before: dict[str, Any]) -> None:
    after = _state(subscription)
    subscription |= before
    expires = min(tx.now + EXPIRE_AFTER, lifecycle.next_turn(subscription))
    subscription["_pending"] = {"invoice": invoice["id"], "state": after}
    subscription["pending_update"] = tx.part(
        "subscriptions_resource_pending_update",
        expires_at=expires,
        subscription_items=public(after["items"]["data"]),
    )
    tx.schedule(subscription, "subscription.pending_expire", expires)


def _release(tx: Tx, subscription: Obj) -> None:
    tx.unschedule(subscription, "subscription.pending_expire")
    del subscription["_pending"]
    subscription["pending_update"] = None


def _tell(tx: Tx, subscription: Obj) -> None:
    lifecycle.plan(tx, subscription)
    for listener in lifecycle.CHANGED:
        listener(tx, subscription)


def _void(tx: Tx, subscription: Obj) -> None:
    held = subscription.get("_pending")
    if held:
        billing.void(tx, tx.get("invoice", held["invoice"]))


@on_timer("subscription.pending_expire")
def expire(tx: Tx, subscription: Obj) -> None:
    _void(tx, subscription)
    tx.emit("customer.subscription.pending_update_expired", subscription)


def _owner(tx: Tx, invoice: Obj) -> Obj | None:
    """The subscription whose pending update waits for this invoice."""
    subscription = tx.store.find(invoice["_subscription"]) if invoice["_subscription"] else None
    held = (subscription or {}).get("_pending")
    return subscription if held and held["invoice"] == invoice["id"] else None


def _paid(tx: Tx, invoice: Obj) -> None:
    subscription = _owner(tx, invoice)
    if subscription is None:
        return
    with tx.changing(subscription, lifecycle.UPDATED):
        subscription |= subscription["_pending"]["state"]
        _release(tx, subscription)
    tx.emit("customer.subscription.pending_update_applied", subscription)
    _tell(tx, subscription)


def _voided(tx: Tx, invoice: Obj) -> None:
    subscription = _owner(tx, invoice)
    if subscription is not None:
        with tx.changing(subscription, lifecycle.UPDATED):
            _release(tx, subscription)


billing.PAID.append(_paid)
billing.VOIDED.append(_voided)
