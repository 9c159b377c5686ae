"""What Harbor sells: plans, their limits and their prices, in code.

Stripe gets products and prices from here (`manage.py sync_catalog`) and finds them again by lookup
key. A price is never edited: a new amount is a new lookup key, and old subscribers keep theirs.
Limits are read through `billing.entitlements` only. Amounts are in minor units of their currency.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

TRIAL = "trial"
TRIAL_LENGTH = timedelta(days=14)
GRACE = timedelta(days=7)  # how long a brand keeps its plan after a failed payment
DEFAULT_CURRENCY = "usd"
CURRENCIES = ("usd", "eur", "gbp", "jpy")


@dataclass(frozen=True)
class Limits:
    """How much of each thing a plan includes. `leads` counts leads brought in, over all time.

    Messages are fetched of leads that were active within `history_days` (ADR 15); None: of all.
    """

    leads: int
    connections: int
    devices: int
    members: int
    history_days: int | None


@dataclass(frozen=True)
class Plan:
    """One thing a brand can be on. `prices` are per month; a plan without any can't be bought.

    `features` are true of every plan of the product: plans differ in what `limits` enforces alone.
    """

    key: str
    product: str
    name: str
    tagline: str
    limits: Limits
    features: tuple[str, ...]
    prices: Mapping[str, int] = field(default_factory=dict)
    version: int = 1
    highlighted: bool = False

    @property
    def lookup_key(self) -> str:
        """The name of this plan's current price at Stripe."""
        return f"{self.key}_month_v{self.version}"


PLANS: dict[str, Plan] = {
    plan.key: plan
    for plan in (
        Plan(
            key=TRIAL,
            product="trial",
            name="Free trial",
            tagline="Everything, small, for two weeks",
            limits=Limits(leads=1_000, connections=1, devices=1, members=3, history_days=None),
            features=("No card needed",),
        ),
        Plan(
            key="leads_starter",
            product="leads",
            name="Starter",
            tagline="One SmartLead account, kept complete",
            limits=Limits(leads=25_000, connections=1, devices=2, members=3, history_days=90),
            features=("Search by e-mail, name and company",),
            prices={"usd": 4_900, "eur": 4_500, "gbp": 3_900, "jpy": 7_200},
        ),
        Plan(
            key="leads_growth",
            product="leads",
            name="Growth",
            tagline="For teams that work their leads daily",
            limits=Limits(leads=250_000, connections=1, devices=5, members=10, history_days=365),
            features=("Everything in Starter",),
            prices={"usd": 14_900, "eur": 13_900, "gbp": 11_900, "jpy": 22_000},
            highlighted=True,
        ),
        Plan(
            key="leads_scale",
            product="leads",
            name="Scale",
            tagline="Agencies with many campaigns",
            limits=Limits(
                leads=20_000_000, connections=1, devices=20, members=50, history_days=None
            ),
            features=("Everything in Growth",),
            prices={"usd": 49_900, "eur": 45_900, "gbp": 39_900, "jpy": 74_000},
        ),
        Plan(
            key="vpn_solo",
            product="vpn",
            name="VPN Solo",
            tagline="Private access for one person",
            limits=Limits(leads=0, connections=0, devices=3, members=1, history_days=0),
            features=("WireGuard on every system",),
            prices={"usd": 900, "eur": 900, "gbp": 700, "jpy": 1_300},
        ),
        Plan(
            key="vpn_team",
            product="vpn",
            name="VPN Team",
            tagline="Private access for a company",
            limits=Limits(leads=0, connections=0, devices=25, members=25, history_days=0),
            features=("WireGuard on every system",),
            prices={"usd": 3_900, "eur": 3_900, "gbp": 3_200, "jpy": 5_800},
        ),
    )
}


def plan(key: str) -> Plan:
    """Return the plan `key`; a key that is no longer sold raises KeyError."""
    return PLANS[key]


def on_sale() -> list[Plan]:
    """Return the plans a brand can buy, in the order of the pricing page."""
    return [plan for plan in PLANS.values() if plan.prices]


def larger(key: str, limit: str) -> Plan | None:
    """Return the next plan on sale with more of `limit`, a field of Limits, than plan `key` has.

    Plans of the same product come first. None when there is none.
    """
    own = PLANS.get(key)
    have = _amount(own.limits, limit) if own else 0
    more = [plan for plan in on_sale() if _amount(plan.limits, limit) > have]
    return min(more, key=lambda plan: own is None or plan.product != own.product, default=None)


def _amount(limits: Limits, limit: str) -> float:
    amount: int | None = getattr(limits, limit)
    return math.inf if amount is None else amount


def by_lookup_key(lookup_key: str | None) -> Plan | None:
    """Return the plan behind a Stripe price, whatever the price's version, or None."""
    key, marker, _ = (lookup_key or "").partition("_month_v")
    return PLANS.get(key) if marker else None
