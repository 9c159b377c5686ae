"""What a brand may do now. The only reader of plans' limits; leads and vpn ask here.

Fails closed: a plan that the catalog doesn't know entitles to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from billing import catalog
from billing.admission import Admission, Refusal, Terms, closed, decide
from billing.models import BillingAccount
from saas.errors import Bug
from saas.tenancy import in_scope

__all__ = ["Admission", "Entitlements", "admit_leads", "changed", "of", "of_many", "on_change"]

Listener = Callable[[int], None]
_listeners: list[Listener] = []
NOTHING = catalog.Limits(leads=0, connections=0, devices=0, members=0, history_days=0)


@dataclass(frozen=True)
class Entitlements:
    """A brand's rights at one moment.

    `refusal` None means live: new leads, connections and devices are allowed within the limits.
    Otherwise devices and connections are 0 (nothing new, and the VPN is off); what the brand
    already has stays readable. `members` always holds: nobody is locked out of their own data.
    `history_days` is the plan's, live or not: messages of leads that are here are still fetched.
    """

    brand_id: int
    plan: str
    plan_name: str
    standing: str
    refusal: Refusal | None
    lead_quota: int
    leads_used: int
    devices: int
    connections: int
    members: int
    history_days: int | None
    trial_ends_at: datetime | None
    grace_until: datetime | None

    @property
    def live(self) -> bool:
        return self.refusal is None

    @property
    def needs_first_plan(self) -> bool:
        """A brand that began without a trial and was never paid for."""
        return self.refusal == "trial_expired" and self.trial_ends_at is None

    def history_from(self, at: datetime) -> datetime | None:
        """Return how far back the plan reaches at `at`: messages are fetched of leads that were
        active since. None: of all leads."""
        return None if self.history_days is None else at - timedelta(days=self.history_days)

    @property
    def leads_left(self) -> int:
        """New leads that would be admitted now."""
        return max(self.lead_quota - self.leads_used, 0) if self.live else 0


def admit_leads(brand_id: int, wanted: int, now: datetime | None = None) -> Admission:
    """Admit up to `wanted` new leads of the brand and count them as used.

    Call in the transaction that inserts them, inside the brand's scope, and insert exactly
    `granted`: a rollback gives them back. Locks the BillingAccount FOR NO KEY UPDATE until the
    commit, so admissions of a brand are serial and no interleaving exceeds the quota or outlives
    the trial. Without `now` the clock is read after the lock was won, which is what an ingest
    wants: a wait for the lock must not carry leads over the trial's end.
    """
    if not in_scope():
        raise Bug("admit_leads outside of the transaction that inserts the leads")
    account = BillingAccount.objects.select_for_update(no_key=True).get(brand_id=brand_id)
    admission = decide(terms(account), wanted, now or timezone.now())
    if admission.granted:
        BillingAccount.objects.filter(pk=account.pk).update(
            leads_used=F("leads_used") + admission.granted
        )
    return admission


def terms(account: BillingAccount) -> Terms:
    """Reduce an account to what admission depends on."""
    return Terms(
        plan=account.plan,
        standing=account.standing,
        trial_ends_at=account.trial_ends_at,
        grace_until=account.grace_until,
        quota=account.lead_quota,
        used=account.leads_used,
    )


def of(brand_id: int, now: datetime | None = None) -> Entitlements:
    """Return the brand's rights at `now`. Call inside its scope or everyone(); takes no lock."""
    return _entitlements(BillingAccount.objects.get(brand_id=brand_id), now or timezone.now())


def of_many(brand_ids: Iterable[int], now: datetime | None = None) -> dict[int, Entitlements]:
    """Return the rights of many brands by id, in one query; for sweeps, inside everyone()."""
    moment = now or timezone.now()
    accounts = BillingAccount.objects.filter(brand_id__in=list(brand_ids))
    return {account.brand_id: _entitlements(account, moment) for account in accounts}


def _entitlements(account: BillingAccount, now: datetime) -> Entitlements:
    plan = catalog.PLANS.get(account.plan)
    on_trial = account.plan == catalog.TRIAL
    name = plan.name if plan else account.plan
    limits = plan.limits_of(account.seats) if plan else NOTHING
    refusal = closed(terms(account), now)
    return Entitlements(
        brand_id=account.brand_id,
        plan=account.plan,
        plan_name=name if account.had_trial or not on_trial else "No plan yet",
        standing=account.standing,
        refusal=refusal,
        lead_quota=account.lead_quota,
        leads_used=account.leads_used,
        devices=0 if refusal else limits.devices,
        connections=0 if refusal else limits.connections,
        members=limits.members,
        history_days=limits.history_days,
        trial_ends_at=account.trial_ends_at if on_trial and account.had_trial else None,
        grace_until=account.grace_until,
    )


def on_change(listener: Listener) -> None:
    """Register `listener(brand_id)`, run after the commit of a change of standing or plan.

    It runs outside any scope, and a crash in between loses the call: listeners only wake work that
    a sweep would find too.
    """
    if listener not in _listeners:
        _listeners.append(listener)


def changed(brand_id: int) -> None:
    """Tell the listeners when the transaction commits (for `billing.standing`)."""
    for listener in _listeners:
        transaction.on_commit(lambda tell=listener: tell(brand_id))  # type: ignore[misc]
