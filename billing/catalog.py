"""What Harbor sells: plans, their limits and their prices, in code.

Stripe gets products and prices from here (`manage.py sync_catalog`) and finds them again by lookup
key. A price is never edited: a new amount is a new lookup key, and old subscribers keep theirs.
Limits are read through `billing.entitlements` only. Amounts are in minor units of their currency.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

TRIAL = "trial"
TRIAL_LENGTH = timedelta(days=14)
GRACE = timedelta(days=7)  # how long a brand keeps its plan after a failed payment
DEFAULT_CURRENCY = "usd"
CURRENCIES = ("usd", "eur", "gbp", "jpy")
TAX_INCLUDED = ("jpy",)  # Japan's law wants the price with the tax
Interval = Literal["month", "year"]
INTERVALS: tuple[Interval, ...] = ("month", "year")
MONTHS_PAID_A_YEAR = 10  # two months are free
CARD_TRIAL_DAYS = 7
PRODUCTS = {
    "trial": "Free trial",
    "leads": "Leads, with VPN devices for the team",
    "bundle": "Leads and VPN together",
    "vpn": "VPN, on its own",
}
LOOKUP_KEY = re.compile(r"([a-z_]+)_(?:month|year)_v[0-9]+")


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
class Seats:
    """A plan sold by the seat: its limits and prices are of one seat."""

    least: int
    most: int


@dataclass(frozen=True)
class Metered:
    """What is counted beside the plan's price: `included` units a period, then `prices` for each.

    `event` names the meter's events at Stripe. Billed with the period, so monthly plans only.
    """

    event: str
    unit: str
    included: int
    prices: Mapping[str, int]


@dataclass(frozen=True)
class Plan:
    """One thing a brand can be on. `prices` are per month; a plan without any can't be bought.

    `features` are true of every plan of the product: plans differ in what `limits` enforces alone.
    `trial_days` of it are free to try with a card (billing.card_trials); 0: it can't be tried.
    """

    key: str
    product: str
    name: str
    tagline: str
    limits: Limits
    features: tuple[str, ...]
    prices: Mapping[str, int] = field(default_factory=dict)
    seats: Seats | None = None
    metered: Metered | None = None
    version: int = 1
    highlighted: bool = False
    trial_days: int = 0

    @property
    def product_name(self) -> str:
        return PRODUCTS[self.product]

    @property
    def intervals(self) -> tuple[Interval, ...]:
        return ("month",) if self.metered else INTERVALS

    def price(self, interval: Interval, currency: str) -> int:
        """Return the price of a period, of one seat. Raises KeyError for what isn't sold."""
        if interval not in self.intervals:
            raise KeyError(interval)
        return self.prices[currency] * (MONTHS_PAID_A_YEAR if interval == "year" else 1)

    def yearly(self) -> dict[str, int]:
        """Return the prices of a year by currency; empty when none is sold."""
        sold = "year" in self.intervals
        return {currency: self.price("year", currency) for currency in self.prices if sold}

    def lookup_key(self, interval: Interval = "month") -> str:
        """The name of this plan's current price at Stripe."""
        return f"{self.key}_{interval}_v{self.version}"

    @property
    def metered_key(self) -> str:
        """The name of the price of what is counted."""
        return f"{self.key}_metered_v{self.version}"

    @property
    def least(self) -> Limits:
        """What the smallest purchase of the plan includes."""
        return self.limits_of(self.seats.least if self.seats else 1)

    def limits_of(self, seats: int) -> Limits:
        """Return what so many seats of the plan include."""
        if self.seats is None:
            return self.limits
        each = self.limits
        return replace(
            each,
            leads=each.leads * seats,
            devices=each.devices * seats,
            members=each.members * seats,
        )


def tax_included(currency: str) -> bool:
    """Tell whether prices in a currency hold the tax: where the law wants them shown so. Elsewhere
    it is added, since businesses compare prices without it."""
    return currency.lower() in TAX_INCLUDED


@dataclass(frozen=True)
class Offer:
    """What a brand buys: a plan, for how long at a time, in which currency, how many seats.

    `trial_of` is the user whose trial with a card it begins with; None: it is paid from the start.
    """

    plan: Plan
    interval: Interval = "month"
    currency: str = DEFAULT_CURRENCY
    seats: int = 1
    trial_of: int | None = None

    @property
    def amount(self) -> int:
        """Minor units a period before discounts, and before tax unless it is included."""
        return self.plan.price(self.interval, self.currency) * self.seats

    @property
    def limits(self) -> Limits:
        return self.plan.limits_of(self.seats)


def offer(plan: str, interval: str, currency: str, seats: int | None = None) -> Offer | None:
    """Return the offer that was asked for, or None when it isn't sold.

    Without `seats` it is of the fewest.
    """
    chosen = PLANS.get(plan)
    if chosen is None or currency not in chosen.prices or interval not in chosen.intervals:
        return None
    bounds = chosen.seats or Seats(1, 1)
    wanted = bounds.least if seats is None else seats
    if not bounds.least <= wanted <= bounds.most:
        return None
    return Offer(chosen, interval, currency, wanted)


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
            trial_days=CARD_TRIAL_DAYS,
        ),
        Plan(
            key="leads_growth",
            product="leads",
            name="Growth",
            tagline="For teams that work their leads daily",
            limits=Limits(leads=250_000, connections=1, devices=5, members=10, history_days=365),
            features=("Everything in Starter",),
            prices={"usd": 14_900, "eur": 13_900, "gbp": 11_900, "jpy": 22_000},
            trial_days=CARD_TRIAL_DAYS,
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
            key="bundle_growth",
            product="bundle",
            name="Growth with VPN",
            tagline="Leads Growth and a VPN for the whole team",
            limits=Limits(leads=250_000, connections=1, devices=50, members=10, history_days=365),
            features=("Everything in Growth", "WireGuard on every system"),
            prices={"usd": 17_900, "eur": 16_900, "gbp": 14_500, "jpy": 26_500},
            trial_days=CARD_TRIAL_DAYS,
        ),
        Plan(
            key="vpn_solo",
            product="vpn",
            name="VPN Solo",
            tagline="Private access for one person",
            limits=Limits(leads=0, connections=0, devices=3, members=1, history_days=0),
            features=("WireGuard on every system",),
            prices={"usd": 900, "eur": 900, "gbp": 700, "jpy": 1_300},
            trial_days=CARD_TRIAL_DAYS,
        ),
        Plan(
            key="vpn_team",
            product="vpn",
            name="VPN Team",
            tagline="Private access for a company, by the person",
            limits=Limits(leads=0, connections=0, devices=5, members=1, history_days=0),
            features=("WireGuard on every system",),
            prices={"usd": 600, "eur": 600, "gbp": 500, "jpy": 900},
            seats=Seats(least=3, most=200),
        ),
        Plan(
            key="vpn_metered",
            product="vpn",
            name="VPN Metered",
            tagline="Many devices, paid by the gigabyte",
            limits=Limits(leads=0, connections=0, devices=50, members=10, history_days=0),
            features=("WireGuard on every system",),
            prices={"usd": 1_500, "eur": 1_400, "gbp": 1_200, "jpy": 2_200},
            metered=Metered(
                event="vpn_gigabytes",
                unit="GB",
                included=200,
                prices={"usd": 6, "eur": 6, "gbp": 5, "jpy": 9},
            ),
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
    have = amount_of(own.limits, limit) if own else 0
    more = [plan for plan in on_sale() if amount_of(plan.least, limit) > have]
    return min(more, key=lambda plan: own is None or plan.product != own.product, default=None)


def amount_of(limits: Limits, limit: str) -> float:
    """Return one of the limits as a number; "no limit" is infinite."""
    amount: int | None = getattr(limits, limit)
    return math.inf if amount is None else amount


def by_lookup_key(lookup_key: str | None) -> Plan | None:
    """Return the plan behind a Stripe price, whatever the price's version, or None."""
    found = LOOKUP_KEY.fullmatch(lookup_key or "")
    return PLANS.get(found[1]) if found else None
