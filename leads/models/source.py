"""Where leads come from: the connection to SmartLead, its campaigns and its categories."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from saas.crypto import SealedField
from saas.ratelimit import Limit
from saas.tenancy import TenantModel


class Connection(TenantModel):
    """A brand's SmartLead account. The key is sealed; `key_hint` holds its last four characters.

    Disconnecting empties the key and keeps the row: campaigns and leads stay. `synced_at`: what
    SmartLead had then is here (null: before the first backfill ended). The next sync is due at
    `sync_due_at`, `sync_every` minutes after the last one began (0: never).
    """

    class State(models.TextChoices):
        WORKING = "working", "Connected"
        REFUSED = "refused", "Key refused"
        DISCONNECTED = "disconnected", "Disconnected"

    api_key = SealedField(blank=True, default="")
    key_hint = models.CharField(max_length=4, blank=True, default="")
    state = models.CharField(max_length=12, choices=State, default=State.WORKING)
    calls_per_minute = models.PositiveIntegerField(default=50)
    in_flight = models.PositiveSmallIntegerField("calls at once", default=5)
    # Names the account at SmartLead (leads.smartlead.gate): who shares it shares its limit.
    account = models.CharField(max_length=32, blank=True, default="", db_default="")
    checked_at = models.DateTimeField(null=True, blank=True)
    sync_every = models.PositiveIntegerField("minutes between updates", default=60, db_default=60)
    sync_due_at = models.DateTimeField(null=True, blank=True)
    synced_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["brand"], name="one_connection_per_brand"),
            models.CheckConstraint(
                condition=Q(calls_per_minute__range=(1, 60_000), in_flight__range=(1, 20)),
                name="connection_limits_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"SmartLead, key ends in {self.key_hint}" if self.key_hint else "SmartLead"

    @property
    def usable(self) -> bool:
        return self.state == self.State.WORKING

    @property
    def limit(self) -> Limit:
        """What this brand may call: our own promise to SmartLead, shared by all workers."""
        return Limit(self.calls_per_minute, 60.0, self.in_flight)


class Campaign(TenantModel):
    """A SmartLead campaign. Never deleted because SmartLead stopped listing it.

    `status` is as of `status_at`. Leads that were added before `leads_at` have been read, and
    events before `events_at` (null: not yet); leads with events since `active_from` are known as
    active (leads.backfill.reach). `hook_id` is the webhook that we set up there, for
    the address whose hash is `hook_for`; `hook_failures` counts tries in vain.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    remote_id = models.BigIntegerField()
    name = models.CharField(max_length=300)
    status = models.CharField(max_length=20, blank=True, default="")
    status_at = models.DateTimeField(null=True, editable=False)
    hook_id = models.BigIntegerField(null=True, editable=False)
    hook_for = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False
    )
    hook_failures = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    leads_at = models.DateTimeField(null=True, editable=False)
    events_at = models.DateTimeField(null=True, editable=False)
    active_from = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["brand", "connection", "remote_id"], name="one_row_per_campaign"
            ),
            # What the composite foreign keys of the partitioned tables point at.
            models.UniqueConstraint(fields=["brand", "id"], name="campaign_within_brand"),
        ]

    def __str__(self) -> str:
        return self.name


class Category(TenantModel):
    """A SmartLead lead category; leads carry its `remote_id`."""

    remote_id = models.BigIntegerField()
    name = models.CharField(max_length=200)
    sentiment = models.CharField(max_length=20, blank=True, default="")

    class Meta:
        verbose_name_plural = "categories"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["brand", "remote_id"], name="one_row_per_category"),
        ]

    def __str__(self) -> str:
        return self.name
