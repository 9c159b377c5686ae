"""A brand's standing: where it must be is a pure function of what is known; moving there audits.

| what is known                               | standing                           |
|---------------------------------------------|------------------------------------|
| a live subscription, paid or in its trial   | active                             |
| ... past due, grace not over                | past_due until grace's end         |
| ... past due beyond it, unpaid or paused    | downgraded                         |
| a subscription that ended                   | canceled                           |
| none ever, before the trial's end           | trialing                           |
| none ever, after it                         | downgraded (still on the plan trial)|

It doesn't depend on the order in which news came, so late and repeated events can't do harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from accounts.models import User
from billing import catalog, entitlements, letters
from billing.models import LIVE_STATUSES, BillingAccount, Standing, Subscription
from saas import audit
from saas.errors import Misconfigured
from saas.tenancy import everyone, scope


@dataclass(frozen=True)
class Known:
    """The part of a subscription that standing depends on."""

    plan: str
    status: str
    past_due_since: datetime | None
    seats: int = 1


@dataclass(frozen=True)
class Position:
    plan: str
    standing: Standing
    grace_until: datetime | None = None
    seats: int = 1


# The name of every move, for the journal: an exhaustive table, so a new standing must be named.
MOVES: dict[tuple[Standing, Standing], str] = {
    (Standing.TRIALING, Standing.ACTIVE): "subscription.started",
    (Standing.TRIALING, Standing.PAST_DUE): "payment.failed",
    (Standing.TRIALING, Standing.DOWNGRADED): "trial.ended",
    (Standing.TRIALING, Standing.CANCELED): "subscription.ended",
    (Standing.ACTIVE, Standing.PAST_DUE): "payment.failed",
    (Standing.ACTIVE, Standing.DOWNGRADED): "subscription.suspended",
    (Standing.ACTIVE, Standing.CANCELED): "subscription.ended",
    (Standing.ACTIVE, Standing.TRIALING): "trial.restored",
    (Standing.PAST_DUE, Standing.ACTIVE): "payment.recovered",
    (Standing.PAST_DUE, Standing.DOWNGRADED): "grace.ended",
    (Standing.PAST_DUE, Standing.CANCELED): "subscription.ended",
    (Standing.PAST_DUE, Standing.TRIALING): "trial.restored",
    (Standing.DOWNGRADED, Standing.ACTIVE): "subscription.restored",
    (Standing.DOWNGRADED, Standing.PAST_DUE): "payment.failed",
    (Standing.DOWNGRADED, Standing.CANCELED): "subscription.ended",
    (Standing.DOWNGRADED, Standing.TRIALING): "trial.restored",
    (Standing.CANCELED, Standing.ACTIVE): "subscription.restarted",
    (Standing.CANCELED, Standing.PAST_DUE): "payment.failed",
    (Standing.CANCELED, Standing.DOWNGRADED): "subscription.suspended",
    (Standing.CANCELED, Standing.TRIALING): "trial.restored",
}


def position(known: Known | None, trial_ends_at: datetime, now: datetime) -> Position:
    """Return where a brand stands at `now`; see the table above. Pure."""
    if known is None:
        running = now < trial_ends_at
        return Position(catalog.TRIAL, Standing.TRIALING if running else Standing.DOWNGRADED)
    if known.status in ("active", "trialing"):
        return Position(known.plan, Standing.ACTIVE, seats=known.seats)
    if known.status == "past_due":
        grace_until = (known.past_due_since or now) + catalog.GRACE
        if now < grace_until:
            return Position(known.plan, Standing.PAST_DUE, grace_until, known.seats)
    ended = Standing.DOWNGRADED if known.status in LIVE_STATUSES else Standing.CANCELED
    return Position(known.plan, ended, seats=known.seats)


def settle(
    account: BillingAccount, *, now: datetime, actor: User | None = None, reason: str = ""
) -> None:
    """Move a locked account to where its subscription says, in the caller's transaction.

    Audits, tells the listeners of `entitlements.on_change` and writes the mail of a failed payment
    or a trial's end only when something moved. Safe to repeat. Raises Misconfigured for a plan that
    the catalog doesn't know.
    """
    target = position(_known(account), account.trial_ends_at, now)
    before = Position(account.plan, Standing(account.standing), account.grace_until, account.seats)
    plan = catalog.PLANS.get(target.plan)
    if plan is None:
        raise Misconfigured(f"the catalog has no plan {target.plan!r}")
    quota = plan.limits_of(target.seats).leads
    if target == before and account.lead_quota == quota:
        return
    account.plan, account.standing, account.seats = target.plan, target.standing, target.seats
    account.grace_until, account.lead_quota = target.grace_until, quota
    account.save(update_fields=["plan", "standing", "seats", "grace_until", "lead_quota"])
    action = MOVES.get((before.standing, target.standing), "plan.changed")
    changes = {
        "standing": [before.standing, target.standing],
        "plan": [before.plan, target.plan],
        "seats": [before.seats, target.seats],
    }
    audit.record(action, account, actor=actor, reason=reason, changes=changes)
    entitlements.changed(account.brand_id)
    if target.standing == Standing.PAST_DUE != before.standing:
        letters.payment_failed(account)
    if (before.standing, target.standing) == (Standing.TRIALING, Standing.DOWNGRADED):
        letters.trial_over(account)


def _known(account: BillingAccount) -> Known | None:
    """The brand's live subscription, else its last that ended; one never paid doesn't count."""
    rows = Subscription.objects.filter(brand_id=account.brand_id, duplicate=False)
    chosen = (
        rows.filter(status__in=LIVE_STATUSES).first()
        or rows.filter(status="canceled").order_by("-started_at", "-pk").first()
    )
    if chosen is None:
        return None
    return Known(chosen.plan, chosen.status, chosen.past_due_since, chosen.seats)


def locked(brand_id: int) -> BillingAccount:
    """Return the brand's account, locked FOR NO KEY UPDATE until the commit."""
    account: BillingAccount = BillingAccount.objects.select_for_update(no_key=True).get(
        brand_id=brand_id
    )
    return account


def sweep(limit: int = 500) -> int:
    """Move accounts whose trial or grace ran out; return how many. Safe to repeat."""
    now = timezone.now()
    with everyone("trials and grace periods that ran out"):
        ended = BillingAccount.objects.filter(
            standing=Standing.TRIALING, trial_ends_at__lte=now
        ) | BillingAccount.objects.filter(standing=Standing.PAST_DUE, grace_until__lte=now)
        brands = list(ended.values_list("brand_id", flat=True)[:limit])
    for brand_id in brands:
        with scope(brand_id):
            settle(locked(brand_id), now=timezone.now(), reason="time ran out")
    return len(brands)
