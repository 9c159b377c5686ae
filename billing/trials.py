"""The free trial: no card, a quota and an end. One a person, for the first brand that they make.

A further brand of theirs begins where a trial ends: everything opens, nothing new comes in until it
has a plan.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import Brand, User
from billing import catalog, letters
from billing.models import BillingAccount, Standing, Trial
from saas import audit
from saas.tenancy import everyone, scope

ANNOUNCED = (3, 1)  # days before its end


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


def announce(limit: int = 500) -> int:
    """Remind of trials that end within ANNOUNCED days; return of how many. Safe to repeat and race.

    A trial that is extended afterwards is announced again.
    """
    told = 0
    for days in sorted(ANNOUNCED):
        now = timezone.now()
        with everyone("trials that end soon"):
            due = nearing(BillingAccount.objects.filter(standing=Standing.TRIALING), days, now)
            brands = list(due.values_list("brand_id", flat=True)[:limit])
        told += sum(_announce(brand_id, days) for brand_id in brands)
    return told


def nearing(rows: QuerySet[Any], days: int, now: datetime) -> QuerySet[Any]:
    """Return the rows whose trial ends within so many days, and of which nobody was told yet."""
    until = now + timedelta(days=days)
    ending = rows.filter(trial_ends_at__gt=now, trial_ends_at__lte=until)
    return ending.filter(Q(trial_announced=None) | Q(trial_announced__gt=days))


def _announce(brand_id: int, days: int) -> bool:
    with scope(brand_id):
        account: BillingAccount = BillingAccount.objects.select_for_update(no_key=True).get()
        told = account.trial_announced
        if account.standing != Standing.TRIALING or (told is not None and told <= days):
            return False
        account.trial_announced = days
        account.save(update_fields=["trial_announced"])
        letters.trial_ends(account)
        return True


def is_open(user: User) -> bool:
    """Tell whether `user` has their trial still before them."""
    return not Trial.objects.filter(user=user).exists()
