"""The free trial: no card, a quota and an end. One a person, for the first brand that they make.

A further brand of theirs begins where a trial ends: everything opens, nothing new comes in until it
has a plan.
"""

from __future__ import annotations

from django.utils import timezone

from accounts.models import Brand, User
from billing import catalog
from billing.models import BillingAccount, Standing, Trial
from saas import audit


def start(brand: Brand, actor: User) -> None:
    """Open the brand's account, in the transaction that creates the brand; audited.

    On the trial if `actor` had none yet: of two brands at once, the one whose Trial row is first.
    """
    now = timezone.now()
    _, first = Trial.objects.get_or_create(user=actor)
    account = BillingAccount.objects.create(
        brand=brand,
        plan=catalog.TRIAL,
        standing=Standing.TRIALING if first else Standing.DOWNGRADED,
        had_trial=first,
        trial_ends_at=now + catalog.TRIAL_LENGTH if first else now,
        lead_quota=catalog.plan(catalog.TRIAL).limits.leads,
    )
    action = "trial.started" if first else "account.opened_without_trial"
    audit.record(action, account, actor=actor, changes={"plan": [None, catalog.TRIAL]})


def is_open(user: User) -> bool:
    """Tell whether `user` has their trial still before them."""
    return not Trial.objects.filter(user=user).exists()
