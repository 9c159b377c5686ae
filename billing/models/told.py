"""What Stripe tells us: its events, as they came."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from saas.leases import LeasedModel


class StripeInbox(LeasedModel):
    """A verified webhook delivery, kept as it came. Belongs to no tenant until it is processed."""

    class State(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        IGNORED = "ignored"
        PARKED = "parked", "given up, needs a person"

    event_id = models.CharField(max_length=255)
    type = models.CharField(max_length=255)
    body = models.TextField()
    received_at = models.DateTimeField(db_default=Now(), editable=False)
    state = models.CharField(
        max_length=8, choices=State, default=State.PENDING, db_default="pending"
    )
    next_attempt_at = models.DateTimeField(db_default=Now())
    processed_at = models.DateTimeField(null=True)
    created = models.DateTimeField(help_text="When the event happened, says Stripe")

    # The view inserts by SQL and names only what it knows.
    attempts = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    last_error = models.TextField(blank=True, default="", db_default="", editable=False)

    class Meta:
        verbose_name = "Stripe event"
        # A constraint and not unique=True, which would add an index for LIKE to every delivery.
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["event_id"], name="one_row_per_stripe_event"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["state", "next_attempt_at"],
                condition=Q(state__in=("pending", "parked")),
                name="billing_inbox_due",
            ),
            models.Index(fields=["-created"], name="billing_inbox_created"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
