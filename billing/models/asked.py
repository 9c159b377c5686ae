"""What we ask of Stripe: operations, and the visits to its payment page that they open."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from saas.leases import LeasedModel
from saas.tenancy import TenantModel


class Checkout(TenantModel):
    """One visit to Stripe's payment page. At most one is open per brand; a second click reuses it.

    `operation` made the session; `session` is empty until Stripe answered. `trial_of` is the person
    whose trial it begins, if it begins one; `subscription` is what a complete one came to.
    """

    class State(models.TextChoices):
        OPEN = "open"
        COMPLETE = "complete"
        EXPIRED = "expired"

    plan = models.CharField(max_length=40)
    interval = models.CharField(max_length=5, default="month", db_default="month")
    seats = models.PositiveIntegerField(default=1, db_default=1)
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    operation = models.OneToOneField(
        "billing.StripeOperation", on_delete=models.CASCADE, related_name="checkout"
    )
    session = models.CharField(max_length=255, unique=True, null=True)
    subscription = models.CharField(max_length=255, blank=True, default="", db_default="")
    trial_of = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    url = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["brand"], condition=Q(state="open"), name="one_open_checkout_per_brand"
            )
        ]

    def __str__(self) -> str:
        return f"{self.plan} in {self.currency} ({self.state})"


class StripeOperation(TenantModel, LeasedModel):
    """The intent of one write at Stripe, committed before it is sent (billing.operations).

    The idempotency key is `id`; after `generation` 0 the generation is appended. `subject` names
    what it is about, and one pending operation per kind and subject is all there can be. `brand` is
    null for the catalog, which is nobody's.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        FAILED = "failed", "refused by Stripe"
        STUCK = "stuck", "given up, needs a person"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    brand = models.ForeignKey(  # type: ignore[assignment]
        "accounts.Brand", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    kind = models.CharField(max_length=60)
    subject = models.CharField(max_length=255)
    params = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    generation = models.PositiveSmallIntegerField(default=0)
    keyed_at = models.DateTimeField(null=True, help_text="When the current key was first sent")
    next_attempt_at = models.DateTimeField(db_default=Now())
    result = models.JSONField(null=True)
    error_code = models.CharField(max_length=100, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=Q(state="pending"),
                name="one_pending_operation_per_subject",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(state="pending"), name="billing_ops_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

    @property
    def key(self) -> str:
        """The Idempotency-Key to send: one effect at Stripe per key."""
        return f"{self.id}-{self.generation}" if self.generation else str(self.id)
