"""Billing's rows: a brand's account, what we know of Stripe, asked it and were told."""

from billing.models.account import BillingAccount, CardTrial, Standing, Trial
from billing.models.asked import Checkout, StripeOperation
from billing.models.projected import LIVE_STATUSES, Invoice, Subscription
from billing.models.promotion import PromotionCode
from billing.models.told import StripeInbox
from billing.models.usage import Usage, UsageBatch

__all__ = [
    "LIVE_STATUSES",
    "BillingAccount",
    "CardTrial",
    "Checkout",
    "Invoice",
    "PromotionCode",
    "Standing",
    "StripeInbox",
    "StripeOperation",
    "Subscription",
    "Trial",
    "Usage",
    "UsageBatch",
]
