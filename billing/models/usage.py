"""What brands used of metered plans (billing.usage)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from saas.tenancy import TenantModel


class Usage(TenantModel):
    """What was used under a metered subscription in an hour, or in the part of it since a period
    began (billing.usage).

    `quantity` is in the meter's parts (bytes of a gigabyte), and grows while the row waits; `batch`
    is the event that carries it. `at` is when something was last added.
    """

    subscription = models.CharField(max_length=255)
    since = models.DateTimeField()
    quantity = models.BigIntegerField()
    at = models.DateTimeField()
    batch = models.ForeignKey(
        "billing.UsageBatch", on_delete=models.SET_NULL, null=True, related_name="reports"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["brand", "subscription", "since"],
                condition=Q(batch=None),
                name="one_waiting_usage_per_hour",
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="usage_is_something"),
        ]

    def __str__(self) -> str:
        return f"{self.since}: {self.quantity}"


class UsageBatch(TenantModel):
    """One meter event at Stripe: the whole units that a brand's usage came to since the last one.

    `rest` is what was too little for a unit; the subscription's next batch begins with it. `late`
    says that usage of a period that was invoiced already is in it. A batch that Stripe refused has
    no units: its reports wait again.
    """

    subscription = models.CharField(max_length=255)
    units = models.BigIntegerField()
    rest = models.BigIntegerField()
    at = models.DateTimeField(help_text="The moment that the event names")
    late = models.BooleanField(default=False)
    operation = models.OneToOneField(
        "billing.StripeOperation", on_delete=models.SET_NULL, null=True, related_name="usage_batch"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["brand", "-id"], name="billing_usage_batches")]

    def __str__(self) -> str:
        return f"{self.units} units"
