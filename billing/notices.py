"""What billing says outside of its own pages: the frame's banner and the overview's card."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from accounts.banners import Banner
from accounts.requests import BrandRequest
from accounts.roles import Permission, allows
from billing import entitlements, prompts, subscriptions
from billing.models import Standing
from saas.tenancy import within

TRIAL_WARNING = timedelta(days=3)


def banner(request: BrandRequest) -> Banner | None:
    """Say that the trial ends soon, that a payment failed, or that the brand is paused."""
    with within(request.brand.pk):
        now = timezone.now()
        rights = entitlements.of(request.brand.pk, now)
    may_pay = allows(request.membership.role, Permission.MANAGE_BILLING)
    url = reverse(prompts.page(rights), args=[request.brand.slug]) if may_pay else ""
    if rights.needs_first_plan:
        text = "This brand has no plan yet, and your free trial went to another brand."
        return Banner(80, "amber", f"{text} Leads and devices need a plan.", url, "Choose a plan")
    if rights.refusal == "trial_expired":
        text = "Your free trial is over. Your leads stay readable; new ones wait for a plan."
        return Banner(80, "amber", text, url, "Choose a plan")
    if rights.refusal:
        ended = rights.standing == Standing.CANCELED
        text = (
            "Your plan has ended. Your leads stay readable; new ones and the VPN are off."
            if ended
            else "Your plan is paused because a payment is missing. New leads and the VPN are off."
        )
        return Banner(90, "red", text, url, "Choose a plan" if ended else "Pay now")
    if rights.grace_until:
        day = date_format(rights.grace_until, "j F")
        text = f"Your last payment failed. Your plan goes on until {day}."
        return Banner(70, "red", text, url, "Update the card")
    if rights.trial_ends_at and rights.trial_ends_at - now <= TRIAL_WARNING:
        text = f"Your free trial ends {date_format(rights.trial_ends_at, 'l, j F')}."
        return Banner(30, "blue", text, url, "Choose a plan")
    return None


def card(request: BrandRequest) -> dict[str, Any] | None:
    """Plan, use of leads and the next step, for those who may see billing."""
    if not allows(request.membership.role, Permission.VIEW_BILLING):
        return None
    rights = entitlements.of(request.brand.pk)
    subscription = subscriptions.live()
    ending = bool(subscription and subscriptions.ends(subscription))
    return {
        "rights": rights,
        "brand": request.brand,
        "ends": subscription.current_period_end if subscription and ending else None,
        "trial": subscription if subscription and subscription.on_trial else None,
    }
