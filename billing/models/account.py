"""A brand's account: plan, standing, counters; and who had which trial."""

from __future__ import annotations

from typing import ClassVar

import pghistory
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

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


class CardTrial(models.Model):
    """The one trial with a card of a customer: of a person, of a brand and of a card, each once.

    The unique columns hold the rule, whatever races (billing.card_trials). Belongs to no tenant and
    outlives the brand and the person. `card` is Stripe's fingerprint of the card's number, the same
    for whoever uses it; null until Stripe names the card.
    """

    person = models.OneToOneField(
        "accounts.User", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    of_brand = models.OneToOneField(
        "accounts.Brand", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    card = models.CharField(max_length=64, unique=True, null=True)
    subscription = models.CharField(max_length=255, unique=True)
    started_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"trial {self.subscription}"


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
    # The least days before its end that the trial's end was announced.
    trial_announced = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)
    grace_until = models.DateTimeField(null=True, blank=True)
    seats = models.PositiveIntegerField(default=1, db_default=1)
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
