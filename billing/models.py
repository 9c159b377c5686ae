"""Billing's rows: a brand's account, what we know of Stripe, what we asked of it, what it told us.

BillingAccount, Subscription and Invoice are our own projection: the code reads these, never
dj-stripe's mirror. `version` on a projected row is the ticket of the fetch it came from
(`billing.projection`); a fetch with a lower ticket never overwrites it.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

import pghistory
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from saas.leases import LeasedModel
from saas.money import Money
from saas.tenancy import TenantModel


class Standing(models.TextChoices):
    TRIALING = "trialing", "Free trial"
    ACTIVE = "active", "Active"
    PAST_DUE = "past_due", "Payment due"
    DOWNGRADED = "downgraded", "Paused"
    CANCELED = "canceled", "Canceled"


class Trial(models.Model):
    """The one free trial of a person. It outlives its brand, so deleting that brings no second."""

    user = models.OneToOneField(
        "accounts.User", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    started_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"trial of {self.user_id}"


@pghistory.track(append_only=True)
class BillingAccount(TenantModel):
    """One row per brand: plan, standing and the counters that admission moves under its lock.

    `lead_quota` is the plan's, kept here so that the database can hold the rule: a trigger refuses
    an update that raises `leads_used` above `lead_quota`, or while the standing admits nothing.
    """

    brand = models.OneToOneField("accounts.Brand", on_delete=models.CASCADE, related_name="+")
    plan = models.CharField(max_length=40, default="trial")
    standing = models.CharField(max_length=12, choices=Standing, default=Standing.TRIALING)
    # False: its owner's trial was used before, so it ended when the brand began.
    had_trial = models.BooleanField(default=True, db_default=True, editable=False)
    trial_ends_at = models.DateTimeField()
    grace_until = models.DateTimeField(null=True, blank=True)
    lead_quota = models.BigIntegerField()
    leads_used = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=3, default="usd")
    stripe_customer = models.CharField(max_length=255, unique=True, null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(leads_used__gte=0, lead_quota__gte=0),
                name="billing_counts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(standing__in=Standing.values), name="billing_known_standing"
            ),
            models.CheckConstraint(
                condition=Q(standing=Standing.PAST_DUE, grace_until__isnull=False)
                | (~Q(standing=Standing.PAST_DUE) & Q(grace_until=None)),
                name="billing_grace_when_past_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan} ({self.standing})"


# Stripe's statuses under which a subscription holds its brand's one place.
LIVE_STATUSES = ("trialing", "active", "past_due", "unpaid", "paused")


@pghistory.track(append_only=True)
class Subscription(TenantModel):
    """A Stripe subscription as last fetched. At most one live one per brand, `duplicate`s apart.

    A duplicate is a second live subscription that a race at Stripe's pages left behind; it grants
    nothing and is being cancelled (`billing.projection`).
    """

    stripe_id = models.CharField(max_length=255, unique=True)
    status = models.CharField(max_length=32)
    plan = models.CharField(max_length=40)
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField(help_text="Per period, in minor units, before tax")
    current_period_end = models.DateTimeField(null=True)
    cancel_at_period_end = models.BooleanField(default=False)
    past_due_since = models.DateTimeField(null=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    card = models.CharField(max_length=60, blank=True, default="")
    duplicate = models.BooleanField(default=False)
    version = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["brand"],
                condition=Q(status__in=LIVE_STATUSES, duplicate=False),
                name="one_live_subscription_per_brand",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan} ({self.status})"

    @property
    def live(self) -> bool:
        return self.status in LIVE_STATUSES and not self.duplicate

    @property
    def price(self) -> Money:
        return Money(self.amount, self.currency)


class Invoice(TenantModel):
    """A Stripe invoice as last fetched; drafts are not shown to the customer."""

    stripe_id = models.CharField(max_length=255, unique=True)
    subscription = models.CharField(max_length=255, blank=True, default="")
    number = models.CharField(max_length=64, blank=True, default="")
    status = models.CharField(max_length=32)
    currency = models.CharField(max_length=3)
    total = models.BigIntegerField()
    amount_due = models.BigIntegerField()
    amount_paid = models.BigIntegerField()
    issued_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField(null=True)
    page_url = models.TextField(blank=True, default="")
    pdf_url = models.TextField(blank=True, default="")
    version = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["brand", "-issued_at"], name="billing_invoices")]

    def __str__(self) -> str:
        return self.number or self.stripe_id

    @property
    def money(self) -> Money:
        return Money(self.total, self.currency)


class Checkout(TenantModel):
    """One visit to Stripe's payment page. At most one is open per brand; a second click reuses it.

    `operation` made the session; `session` is empty until Stripe answered.
    """

    class State(models.TextChoices):
        OPEN = "open"
        COMPLETE = "complete"
        EXPIRED = "expired"

    plan = models.CharField(max_length=40)
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    operation = models.OneToOneField(
        "billing.StripeOperation", on_delete=models.CASCADE, related_name="checkout"
    )
    session = models.CharField(max_length=255, unique=True, null=True)
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
