"""Codes that staff give out (billing.promotions)."""

from __future__ import annotations

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from billing import catalog


class PromotionCode(models.Model):
    """A code that staff give out: a coupon and its promotion code at Stripe, which counts its uses.

    What it takes off is a share or amounts by currency, in minor units. Belongs to no brand. Terms
    never change once it is at Stripe; it can be switched off.
    """

    class Duration(models.TextChoices):
        ONCE = "once", "The first invoice"
        REPEATING = "repeating", "Some months"
        FOREVER = "forever", "Every invoice"

    code = models.CharField(
        max_length=40, unique=True, validators=[RegexValidator(r"\A[A-Z0-9-]{4,40}\Z")],
        help_text="Capital letters, digits and hyphens",
    )  # fmt: skip
    name = models.CharField(max_length=40, help_text="What invoices call it")
    percent_off = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    amounts_off = models.JSONField(
        default=dict, blank=True, help_text='By currency in minor units: {"usd": 500, "eur": 450}'
    )
    duration = models.CharField(max_length=9, choices=Duration, default=Duration.ONCE)
    months = models.PositiveSmallIntegerField(null=True, blank=True)
    max_redemptions = models.PositiveIntegerField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    first_time_only = models.BooleanField(default=False)
    stripe_coupon = models.CharField(max_length=255, blank=True, default="", editable=False)
    stripe_id = models.CharField(max_length=255, unique=True, null=True, editable=False)
    active = models.BooleanField(default=True, editable=False)
    times_redeemed = models.PositiveIntegerField(default=0, editable=False)
    version = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(percent_off=None) ^ Q(amounts_off={}), name="promotion_share_or_amount"
            ),
            models.CheckConstraint(
                condition=Q(duration="repeating", months__gt=0)
                | (~Q(duration="repeating") & Q(months=None)),
                name="promotion_months_when_repeating",
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def clean(self) -> None:
        """What the constraints hold, in words for the form."""
        if (self.percent_off is None) == (not self.amounts_off):
            raise ValidationError("Give either a share or amounts by currency.")
        if (self.duration == self.Duration.REPEATING) != bool(self.months):
            raise ValidationError({"months": "Needed for some months, and for nothing else."})
        amounts = self.amounts_off or {}
        known = isinstance(amounts, dict) and all(
            currency in catalog.CURRENCIES and type(amount) is int and amount > 0
            for currency, amount in amounts.items()
        )
        if not known:
            words = f"Currencies are {', '.join(catalog.CURRENCIES)}, amounts whole and above zero."
            raise ValidationError({"amounts_off": words})
