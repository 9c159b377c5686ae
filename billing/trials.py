"""The free trial that every brand starts with: no card, a quota and an end."""

from __future__ import annotations

from django.utils import timezone

from accounts.models import Brand, User
from billing import catalog
from billing.models import BillingAccount, Standing
from saas import audit


def start(brand: Brand, actor: User | None) -> None:
    """Open the brand's account on the trial, in the transaction that creates the brand; audited."""
    now = timezone.now()
    account = BillingAccount.objects.create(
        brand=brand,
        plan=catalog.TRIAL,
        standing=Standing.TRIALING,
        trial_ends_at=now + catalog.TRIAL_LENGTH,
        lead_quota=catalog.plan(catalog.TRIAL).limits.leads,
    )
    audit.record("trial.started", account, actor=actor, changes={"plan": [None, catalog.TRIAL]})
