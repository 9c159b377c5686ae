"""An account of the stand-in: which campaigns it has and which lead stands where, from its key
alone.

A key `sl_<seed>_<leads>[_<campaigns>][_<option>…]` is an account by itself. Options: `r300` 300
calls a minute (`r0` no limit), `lat50` answers take 50 ms, `dup` one row in a hundred stands twice,
`overlap` one lead in fifty is also in the next campaign, `bad` two rows in a thousand are
malformed. Nothing is stored per lead; memory is O(campaigns).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import cached_property

from sandbox.smartlead.people import Crowd, mix, seed_number

MAX_LEADS = 100_000_000
MAX_CAMPAIGNS = 1000
EPOCH = 1_719_792_000  # 2024-07-01: the first lead was added
SPAN = 820 * 86_400  # … and the last in autumn 2026
OVERLAP_EVERY = 50
LEAD_STRIDE = 7
GROWN_MAP_BASE = 4_000_000_000
_KEY = re.compile(r"sl_([a-z0-9-]{1,40})_(\d{1,9})(?:_(\d{1,4}))?((?:_[a-z]+\d*)*)")
_OPTION = re.compile(r"(r|lat)(\d{1,6})|dup|overlap|bad")
_NAMES = (
    "Founders, DACH", "Series A SaaS, US", "Logistics leaders, Benelux", "Webinar follow-up",
    "Q3 outbound: CFOs", "Churned trials win-back", "Partner recruiting", "Réactivation France",
    "Conference leads (Berlin)", "Head of Ops, Nordics",
    "日本 エンタープライズ", "Agencies under 50 people",
)  # fmt: skip
_STATUSES = ("ACTIVE", "ACTIVE", "COMPLETED", "PAUSED", "ACTIVE", "STOPPED", "COMPLETED")


class BadKey(ValueError):
    """Not the key of an account."""


@dataclass(frozen=True, slots=True)
class Options:
    """An account as its key or /_control/accounts describes it. Times in seconds."""

    seed: str
    leads: int
    campaigns: int
    calls: int = 60
    window: float = 60
    fixed_window: bool = False
    in_flight: int = 0
    penalty: float = 0
    latency: float = 0
    duplicates: bool = False
    overlap: bool = False
    malformed: bool = False


def options_from_key(key: str) -> Options:
    """What a self-describing key says. Raises BadKey."""
    match = _KEY.fullmatch(key)
    if match is None:
        raise BadKey(key)
    leads = int(match[2])
    campaigns = int(match[3] or 4)
    calls, latency, flags = 60, 0.0, set()
    for word in match[4].split("_")[1:]:
        option = _OPTION.fullmatch(word)
        if option is None:
            raise BadKey(key)
        if option[1] == "r":
            calls = int(option[2])
        elif option[1] == "lat":
            latency = int(option[2]) / 1000
        else:
            flags.add(word)
    if leads > MAX_LEADS or not 1 <= campaigns <= MAX_CAMPAIGNS:
        raise BadKey(key)
    return Options(
        seed=match[1],
        leads=leads,
        campaigns=campaigns,
        calls=calls,
        latency=latency,
        duplicates="dup" in flags,
        overlap="overlap" in flags,
        malformed="bad" in flags,
    )


@dataclass(frozen=True, slots=True)
class Growth:
    """Leads added to a campaign after the account was made: numbers `first … first+count-1`, at one
    moment.
    """

    campaign: int
    first: int
    count: int
    at: int


@dataclass(frozen=True, slots=True)
class Campaign:
    """Leads `first … first+own-1` of the account, then `shared` of the campaign before it (one in
    fifty), then growth.
    """

    number: int
    id: int
    name: str
    status: str
    first: int
    own: int
    shared: int
    shared_first: int
    opened: int
    length: int
    map_base: int
    root: int
    growth: tuple[Growth, ...] = ()

    @property
    def seeded(self) -> int:
        """How many positions the seed fills; grown leads follow."""
        return self.own + self.shared

    @property
    def size(self) -> int:
        return self.seeded + sum(batch.count for batch in self.growth)

    def created(self, position: int) -> int:
        """When the lead at this position was added; never falls as the position grows."""
        if position >= self.seeded:
            return self._grown(position)[0].at
        return self.opened + position * self.length // self.seeded

    def lead_at(self, position: int) -> int:
        if position < self.own:
            return self.first + position
        if position < self.seeded:
            return self.shared_first + (position - self.own) * OVERLAP_EVERY
        batch, offset = self._grown(position)
        return batch.first + offset

    def map_id(self, position: int) -> int:
        if position < self.seeded:
            return self.map_base + position * 3
        return GROWN_MAP_BASE + self.lead_at(position) * 3

    def _grown(self, position: int) -> tuple[Growth, int]:
        offset = position - self.seeded
        for batch in self.growth:
            if offset < batch.count:
                return batch, offset
            offset -= batch.count
        raise IndexError(position)

    def position_of(self, lead: int) -> int | None:
        """Where the account's lead number `lead` stands in this campaign; None when it doesn't."""
        if self.first <= lead < self.first + self.own:
            return lead - self.first
        steps, rest = divmod(lead - self.shared_first, OVERLAP_EVERY)
        if not rest and 0 <= steps < self.shared:
            return self.own + steps
        position = self.seeded
        for batch in self.growth:
            if batch.first <= lead < batch.first + batch.count:
                return position + lead - batch.first
            position += batch.count
        return None


class Account:
    """The deterministic part of an account, plus the leads it grew by."""

    def __init__(self, options: Options, growth: tuple[Growth, ...] = ()) -> None:
        self.options = options
        self.growth = growth
        self.crowd = Crowd(options.seed)
        self.root = seed_number(options.seed)
        self.user_id = 10_000 + self.root % 80_000
        self.lead_base = 2_000_000_000 + self.root % 900_000_000
        self.campaigns = tuple(
            replace(campaign, growth=tuple(g for g in growth if g.campaign == campaign.id))
            for campaign in _campaigns(options, self.root)
        )
        self._firsts = [c.first for c in self.campaigns]

    @cached_property
    def by_id(self) -> dict[int, Campaign]:
        return {campaign.id: campaign for campaign in self.campaigns}

    @property
    def leads(self) -> int:
        return self.options.leads + sum(batch.count for batch in self.growth)

    def lead_id(self, lead: int) -> int:
        return self.lead_base + lead * LEAD_STRIDE

    def lead_number(self, lead_id: int) -> int | None:
        number, rest = divmod(lead_id - self.lead_base, LEAD_STRIDE)
        return number if not rest and 0 <= number < self.leads else None

    def leads_below(self, lead_id: int) -> int:
        """How many leads of the account have a smaller id."""
        return min(max(-((self.lead_base - lead_id) // LEAD_STRIDE), 0), self.leads)

    def home(self, lead: int) -> Campaign:
        """The campaign that the lead was first added to."""
        for batch in self.growth:
            if batch.first <= lead < batch.first + batch.count:
                return self.by_id[batch.campaign]
        return self.campaigns[bisect_right(self._firsts, lead) - 1]

    def memberships(self, lead: int) -> list[tuple[Campaign, int]]:
        """The campaigns of a lead with its position in each, oldest first."""
        home = self.home(lead)
        near = self.campaigns[home.number : home.number + 2]
        found = ((campaign, campaign.position_of(lead)) for campaign in near)
        return [(campaign, position) for campaign, position in found if position is not None]


def _campaigns(options: Options, root: int) -> tuple[Campaign, ...]:
    count = options.campaigns
    weights = [2 + mix(root ^ (0xC0FFEE + n)) % 7 for n in range(count)]
    if count >= 6:
        weights[-1] = 0  # a draft without leads
    total, edge, campaigns = sum(weights), 0, []
    first = previous_first = previous_own = 0
    map_base = 1_000_000_000 + root % 400_000_000
    for number in range(count):
        edge += weights[number]
        own = options.leads * edge // total - first
        shared = -(-previous_own // OVERLAP_EVERY) if options.overlap and own else 0
        campaigns.append(
            Campaign(
                number=number,
                id=100_000 + root % 7919 * 113 + number * 7,
                name=_name(number),
                status=_STATUSES[number % len(_STATUSES)]
                if own or not options.leads
                else "DRAFTED",
                first=first,
                own=own,
                shared=shared,
                shared_first=previous_first,
                opened=EPOCH + SPAN * (edge - weights[number]) // total,
                length=SPAN * weights[number] // total,
                map_base=map_base,
                root=mix(root ^ (0xCA4A << 40) ^ number),
            )
        )
        map_base += (own + shared) * 3
        previous_first, previous_own = first, own
        first += own
    return tuple(campaigns)


def _name(number: int) -> str:
    name = _NAMES[number % len(_NAMES)]
    again = number // len(_NAMES)
    return f"{name} ({again + 1})" if again else name
