"""SmartLead's webhooks: the address that a brand gives out, and the inbox of what came there."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from leads.models.source import Connection
from saas.crypto import SealedField
from saas.leases import LeasedModel
from saas.tenancy import TenantModel


class Hook(TenantModel, LeasedModel):
    """The address for a connection's events. The token in it is the proof of the sender.

    Deliveries are looked up by the token's hash; the token itself is sealed, to be shown again.
    `secret` is the customer's `secret_key`, if they have one to be checked. `managed`: we set the
    webhooks up at SmartLead (leads.hooks.remote), under the lease.
    """

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="hook")
    token_hash = models.CharField(max_length=64)
    token = SealedField()
    secret = SealedField(blank=True, default="")
    managed = models.BooleanField(default=False)
    due_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    rotated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["token_hash"], name="one_hook_per_token"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="hook_due"),
        ]

    def __str__(self) -> str:
        return f"Webhook of brand {self.brand_id}"


class Delivery(TenantModel, LeasedModel):
    """One event as SmartLead sent it, without our token and the secret.

    `key` (leads.hooks.event.key_of) is the same for every delivery of an event. What is done is
    deleted after a while (leads.hooks.inbox.KEPT): its content is in the leads by then.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Waiting"
        DONE = "done", "Done"
        PARKED = "parked", "Given up"

    key = models.CharField(max_length=64)
    type = models.CharField(max_length=60)
    body = models.TextField()
    received_at = models.DateTimeField(db_default=Now(), editable=False)
    state = models.CharField(
        max_length=8, choices=State, default=State.PENDING, db_default="pending"
    )
    next_attempt_at = models.DateTimeField(db_default=Now())
    processed_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=100, blank=True, default="", db_default="")

    # The view inserts by SQL and names only what it knows.
    attempts = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    last_error = models.TextField(blank=True, default="", db_default="", editable=False)

    class Meta:
        verbose_name = "SmartLead event"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["brand", "key"], name="one_row_per_smartlead_event"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["brand", "next_attempt_at"],
                condition=Q(state="pending"),
                name="delivery_due",
            ),
            models.Index(fields=["brand", "-received_at"], name="delivery_newest"),
            models.Index(fields=["processed_at"], condition=Q(state="done"), name="delivery_done"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"
