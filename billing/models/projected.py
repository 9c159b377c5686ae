"""What we know of Stripe's objects: our own projection, which the code reads, never dj-stripe's.

`version` on a projected row is the ticket of the fetch it came from (`billing.projection`); a fetch
with a lower ticket never overwrites it.
"""

from __future__ import annotations

from typing import ClassVar

import pghistory
from django.db import models
from django.db.models import Q
from django.utils import timezone

from saas.money import Money
from saas.tenancy import TenantModel

# Stripe's statuses under which a subscription holds its brand's one place.
LIVE_STATUSES = ("trialing", "active", "past_due", "unpaid", "paused")


@pghistory.track(append_only=True)
class Subscription(TenantModel):
    """A Stripe subscription as last fetched. At most one live one per brand, `duplicate`s apart.

    A duplicate is a second live subscription that a race at Stripe's pages left behind, or a second
    trial of a customer; it grants nothing and is being cancelled (`billing.projection`).
    """

    class TrialUsed(models.TextChoices):
        """Whose trial it was that a second one was refused for."""

        BRAND = "brand", "This brand has already had a trial with a card"
        PERSON = "person", "You have already had a trial with a card"
        CARD = "card", "This card has already had a trial"

    stripe_id = models.CharField(max_length=255, unique=True)
    status = models.CharField(max_length=32)
    plan = models.CharField(max_length=40)
    interval = models.CharField(max_length=5, default="month", db_default="month")
    seats = models.PositiveIntegerField(default=1, db_default=1)
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField(help_text="Per period, in minor units, before tax")
    current_period_start = models.DateTimeField(null=True)
    current_period_end = models.DateTimeField(null=True)
    cancel_at_period_end = models.BooleanField(default=False)
    # A change that waits for the period's end: Stripe's schedule, and what comes then.
    schedule = models.CharField(max_length=255, blank=True, default="", db_default="")
    next_plan = models.CharField(max_length=40, blank=True, default="", db_default="")
    next_interval = models.CharField(max_length=5, blank=True, default="", db_default="")
    next_seats = models.PositiveIntegerField(null=True)
    # A change that waits for the payer's bank: until when, for which invoice, and what comes then.
    pending_until = models.DateTimeField(null=True)
    pending_invoice = models.CharField(max_length=255, blank=True, default="", db_default="")
    pending_plan = models.CharField(max_length=40, blank=True, default="", db_default="")
    pending_interval = models.CharField(max_length=5, blank=True, default="", db_default="")
    pending_seats = models.PositiveIntegerField(null=True)
    discount = models.CharField(max_length=120, blank=True, default="", db_default="")
    # Its trial: the end, the least days before it that it was announced, when it became paid for.
    trial_ends_at = models.DateTimeField(null=True)
    trial_announced = models.PositiveSmallIntegerField(null=True)
    trial_converted_at = models.DateTimeField(null=True)
    trial_refused = models.CharField(
        max_length=6, choices=TrialUsed, blank=True, default="", db_default=""
    )
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
    def waits(self) -> bool:
        """Whether a change waits for the payer's bank; Stripe gives it up at its time by itself."""
        return self.pending_until is not None and self.pending_until > timezone.now()

    @property
    def on_trial(self) -> bool:
        return self.status == "trialing"

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
    tax = models.BigIntegerField(default=0, db_default=0)
    discount = models.BigIntegerField(default=0, db_default=0)
    reverse_charge = models.BooleanField(default=False, db_default=False)
    tax_ids = models.CharField(max_length=200, blank=True, default="", db_default="")
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

    @property
    def taxes(self) -> Money:
        return Money(self.tax, self.currency)

    @property
    def saved(self) -> Money:
        return Money(self.discount, self.currency)
