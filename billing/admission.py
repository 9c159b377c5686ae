"""How many new leads a brand may bring in now: the decision, pure.

| plan, standing                    | admitted                  | refusal for the rest |
|-----------------------------------|---------------------------|----------------------|
| trialing, before the trial's end  | up to what the quota left | quota_exceeded       |
| trialing, at or after its end     | nothing                   | trial_expired        |
| active                            | up to what the quota left | quota_exceeded       |
| past_due, within grace            | up to what the quota left | quota_exceeded       |
| past_due, grace over              | nothing                   | suspended            |
| downgraded or canceled            | nothing                   | suspended            |
| ... and the plan is still a trial | nothing                   | trial_expired        |

A brand that began without a trial (billing.trials) is in the last row from its first moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from billing.catalog import TRIAL

Refusal = Literal["trial_expired", "quota_exceeded", "suspended"]


@dataclass(frozen=True)
class Terms:
    """What admission depends on, apart from the clock and the wish."""

    plan: str
    standing: str
    trial_ends_at: datetime
    grace_until: datetime | None
    quota: int
    used: int


@dataclass(frozen=True)
class Admission:
    """`granted` of the wanted leads may be inserted; `refusal` says why not all (None: all)."""

    granted: int
    refusal: Refusal | None


def closed(terms: Terms, now: datetime) -> Refusal | None:
    """Tell why the brand is entitled to nothing at `now`, or None when it is live."""
    if terms.standing == "trialing":
        return "trial_expired" if now >= terms.trial_ends_at else None
    if terms.standing == "active":
        return None
    if terms.standing == "past_due" and terms.grace_until and now < terms.grace_until:
        return None
    return "trial_expired" if terms.plan == TRIAL else "suspended"


def decide(terms: Terms, wanted: int, now: datetime) -> Admission:
    """Decide on `wanted` new leads. Grants min(wanted, what is left) or nothing, never negative."""
    if wanted <= 0:
        return Admission(0, None)
    refusal = closed(terms, now)
    if refusal:
        return Admission(0, refusal)
    granted = min(wanted, max(terms.quota - terms.used, 0))
    return Admission(granted, None if granted == wanted else "quota_exceeded")
