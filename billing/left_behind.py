"""Subscriptions at Stripe whose brand was erased here: each is ended, so that nobody is charged.

Only what the journal knows for certain to be of an erased brand of this installation is ended: the
mark in the subscription's metadata names the brand, and its customer was the brand's. A foreign
subscription of the same Stripe account is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from auditlog.models import LogEntry
from django.contrib.contenttypes.models import ContentType

from accounts.models import Brand
from billing import gateway, operations, projection, subscriptions
from billing.models import LIVE_STATUSES, BillingAccount
from saas import audit
from saas.tenancy import everyone

log = structlog.get_logger(__name__)
LEFT = "brand.left_stripe"


def note(brand: Brand, account: BillingAccount) -> None:
    """Journal whose customer an erased brand was, in the transaction that asks for the erasure."""
    if account.stripe_customer:
        audit.record(LEFT, brand, actor=None, reason=account.stripe_customer)


def end(found: gateway.Object) -> bool:
    """Begin to cancel a fetched subscription if its brand was erased; tell whether it was. Safe to
    repeat. One that ends by itself is left to end. What was paid is for a person to give back."""
    metadata, customer = found.get("metadata") or {}, projection.reference(found["customer"])
    if not _was_ours(metadata, customer):
        return False
    if found["status"] not in LIVE_STATUSES or projection.ends(found):
        return True
    log.error("billing.left_behind", subscription=found["id"], customer=customer)
    with everyone("a subscription whose brand is gone"):
        operation = operations.begin_once(
            subscriptions.CANCEL_NOW,
            subject=found["id"],
            params={"_subscription": found["id"]},
        )
        operations.soon(operation)
    return True


def _was_ours(metadata: Mapping[str, Any], customer: str) -> bool:
    named = str(metadata.get("brand", ""))
    if not named.isdecimal() or len(named) > 18:
        return False
    brand = ContentType.objects.get_for_model(Brand)
    entries = LogEntry.objects.filter(content_type=brand, object_id=int(named))
    left = entries.filter(additional_data__event=LEFT, additional_data__reason=customer)
    return bool(left.exists())
