"""An account as it stands now: the seeded leads, and over them the few that were touched since.

`Book.rows(campaign, wanted)` is a sequence of positions that is neither stored nor searched: length
and any element take the same few microseconds at 100 leads and at 10 million. Only touched and
grown leads are looked at one by one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial

from sandbox.smartlead.account import Account, Campaign, Growth, Options
from sandbox.smartlead.people import Person, mix
from sandbox.smartlead.profiles import (
    HORIZON,
    Event,
    Profile,
    Ranks,
    profiles,
    slot,
)
from sandbox.smartlead.threads import Message, messages

_NEW = Profile("STARTED", None, ())
_PER_DUPLICATE = 99
EMAIL_STATUSES: dict[str, Callable[[Profile], bool]] = {
    "is_opened": lambda p: p.opened,
    "is_clicked": lambda p: p.clicked,
    "is_replied": lambda p: p.replied,
    "not_replied": lambda p: p.opened and not p.replied,
    "is_bounced": lambda p: p.bounced,
    "is_sender_bounced": lambda p: p.category == 9,
    "is_unsubscribed": lambda p: p.unsubscribed,
    "is_accepted": lambda p: bool(p.events) and not p.bounced,
    "is_spam": lambda _: False,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a page of leads is filtered by; times in seconds since the epoch, exclusive."""

    status: str | None = None
    category: int | None = None
    email_status: str | None = None
    created_after: float | None = None
    sent_after: float | None = None
    event_after: float | None = None

    @property
    def attributes(self) -> bool:
        return not (self.status is None and self.category is None and self.email_status is None)

    @property
    def events(self) -> bool:
        return not (self.sent_after is None and self.event_after is None)

    @property
    def everything(self) -> bool:
        return not self.attributes and not self.events and self.created_after is None

    def fits(self, profile: Profile) -> bool:
        """Whether the attributes fit; a lead without events never fits a time of events."""
        if self.status is not None and profile.status != self.status:
            return False
        if self.category is not None and profile.category != self.category:
            return False
        if self.email_status is not None and not EMAIL_STATUSES[self.email_status](profile):
            return False
        return bool(profile.events) or not self.events


@dataclass(slots=True)
class Change:
    """What happened to a lead in a campaign since it was seeded."""

    category: int | None = None
    recategorised: bool = False
    status: str | None = None
    messages: list[Message] = field(default_factory=list)
    unsubscribed: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """One lead in one campaign, now."""

    campaign: Campaign
    position: int
    lead: int
    status: str
    category: int | None
    created: int
    profile: Profile
    change: Change | None


class Book:
    """Changes are kept in `changes` by (campaign id, position); whoever alters them saves them."""

    def __init__(self, options: Options, growth: tuple[Growth, ...] = ()) -> None:
        self.account = Account(options, growth)
        self.changes: dict[tuple[int, int], Change] = {}
        self.gone: set[int] = set()

    def grow(self, campaign: Campaign, count: int, at: int) -> None:
        """Adds leads at the end of a campaign; numbers and ids of the others stay."""
        batch = Growth(campaign.id, self.account.leads, count, at)
        self.account = Account(self.account.options, (*self.account.growth, batch))

    def campaign(self, campaign_id: int) -> Campaign | None:
        return None if campaign_id in self.gone else self.account.by_id.get(campaign_id)

    def campaigns(self) -> list[Campaign]:
        return [campaign for campaign in self.account.campaigns if campaign.id not in self.gone]

    def seeded_profile(self, campaign: Campaign, position: int) -> Profile:
        if position >= campaign.seeded:
            return _NEW
        return profiles(campaign.status)[slot(campaign.root, position)]

    def standing(self, campaign: Campaign, position: int) -> Standing:
        profile = self.seeded_profile(campaign, position)
        change = self.changes.get((campaign.id, position))
        status, category = profile.status, profile.category
        if change is not None:
            status = change.status or status
            category = change.category if change.recategorised else category
        return Standing(
            campaign,
            position,
            campaign.lead_at(position),
            status,
            category,
            campaign.created(position),
            profile,
            change,
        )

    def person(self, standing: Standing) -> Person:
        return self.account.crowd.person(standing.lead)

    def thread(self, standing: Standing) -> Iterator[Message]:
        yield from messages(self.account, standing.campaign, standing.position, standing.profile)
        if standing.change is not None:
            yield from standing.change.messages

    def rows(self, campaign: Campaign, wanted: Wanted) -> Rows:
        """The positions that fit, with natural duplicates when the account has them."""
        found = _Found(self, campaign, wanted)
        doubled = self.account.options.duplicates
        return Rows(found, len(found) // _PER_DUPLICATE if doubled else 0, campaign.root)

    def matches(self, standing: Standing, wanted: Wanted) -> bool:
        """Whether a touched or grown lead fits now."""
        now = _as_profile(standing)
        if not wanted.fits(now) or standing.created <= (wanted.created_after or 0):
            return False
        thread = list(self.thread(standing)) if wanted.events else []
        latest = max((m.at for m in thread), default=None)
        sent = max((m.at for m in thread if not m.reply), default=None)
        return _later(latest, wanted.event_after) and _later(sent, wanted.sent_after)


class Rows:
    """A sequence of positions; where duplicates are wanted, one in each hundred rows repeats the
    row before it.
    """

    def __init__(self, found: _Found, duplicates: int, root: int) -> None:
        self._found = found
        self._duplicates = duplicates
        self._root = root

    def __len__(self) -> int:
        return len(self._found) + self._duplicates

    def __getitem__(self, row: int) -> int:
        block, offset = divmod(row, _PER_DUPLICATE + 1)
        if block >= self._duplicates:
            return self._found[row - self._duplicates]
        twice = mix(self._root ^ block) % _PER_DUPLICATE
        return self._found[block * _PER_DUPLICATE + (offset if offset <= twice else offset - 1)]

    def page(self, offset: int, limit: int) -> Iterator[int]:
        return (self[row] for row in range(offset, min(offset + limit, len(self))))


class _Found:
    """Positions that fit: a scanned band (events near the wanted time), then arithmetic, then
    touched and grown ones.
    """

    def __init__(self, book: Book, campaign: Campaign, wanted: Wanted) -> None:
        slots = _slots(campaign.status, wanted)
        self._ranks = _ranks(campaign.root, slots)
        low, sure = _borders(campaign, wanted)
        self._band = _band(campaign, wanted, low, sure) if low < sure else ()
        self._skip = self._ranks.below(sure)
        end = self._ranks.below(campaign.seeded)
        self._seeded = len(self._band) + end - self._skip
        self._removed, self._added = self._touched(book, campaign, wanted, slots, sure)
        self._grown = range(campaign.seeded, campaign.size)
        if not wanted.everything:
            self._added += [
                p for p in self._grown if book.matches(book.standing(campaign, p), wanted)
            ]
            self._grown = range(0)

    def __len__(self) -> int:
        return self._seeded - len(self._removed) + len(self._added) + len(self._grown)

    def __getitem__(self, index: int) -> int:
        kept = self._seeded - len(self._removed)
        if index >= kept:
            late = index - kept
            return (
                self._added[late]
                if late < len(self._added)
                else self._grown[late - len(self._added)]
            )
        for removed in self._removed:
            if removed > index:
                break
            index += 1
        if index < len(self._band):
            return self._band[index]
        return self._ranks.nth(self._skip + index - len(self._band))

    def _touched(
        self, book: Book, campaign: Campaign, wanted: Wanted, slots: frozenset[int], sure: int
    ) -> tuple[list[int], list[int]]:
        """Indexes of seeded rows that no longer fit, and positions that came to fit."""
        removed, added = [], []
        for campaign_id, position in sorted(book.changes):
            if campaign_id != campaign.id or position >= campaign.seeded or wanted.everything:
                continue
            index = self._index(campaign, position, slots, sure)
            fits = book.matches(book.standing(campaign, position), wanted)
            if index is None and fits:
                added.append(position)
            elif index is not None and not fits:
                removed.append(index)
        return sorted(removed), added

    def _index(
        self, campaign: Campaign, position: int, slots: frozenset[int], sure: int
    ) -> int | None:
        if position < sure:
            at = bisect_right(self._band, position) - 1
            return at if at >= 0 and self._band[at] == position else None
        if slot(campaign.root, position) not in slots:
            return None
        return len(self._band) + self._ranks.below(position) - self._skip


def _slots(campaign_status: str, wanted: Wanted) -> frozenset[int]:
    key = Wanted(
        wanted.status,
        wanted.category,
        wanted.email_status,
        event_after=0 if wanted.events else None,
    )
    return _slots_of(campaign_status, key)


@lru_cache(maxsize=512)
def _slots_of(campaign_status: str, key: Wanted) -> frozenset[int]:
    return frozenset(n for n, profile in enumerate(profiles(campaign_status)) if key.fits(profile))


@lru_cache(maxsize=64)
def _ranks(root: int, slots: frozenset[int]) -> Ranks:
    return Ranks(root, slots)


def _borders(campaign: Campaign, wanted: Wanted) -> tuple[int, int]:
    """Below the first no lead fits the times; from the second on every lead with fitting attributes
    does.
    """
    after = partial(_first_created_after, campaign)
    events = [at for at in (wanted.sent_after, wanted.event_after) if at is not None]
    created = wanted.created_after
    low = max(after(created), *(after(at - HORIZON) for at in events), 0)
    return low, max(after(created), *(after(at) for at in events), 0)


def _first_created_after(campaign: Campaign, at: float | None) -> int:
    if at is None:
        return 0
    return bisect_right(range(campaign.seeded), at, key=campaign.created)


@lru_cache(maxsize=32)
def _band(campaign: Campaign, wanted: Wanted, low: int, sure: int) -> tuple[int, ...]:
    known = profiles(campaign.status)
    found = []
    for position in range(low, sure):
        profile = known[slot(campaign.root, position)]
        if not wanted.fits(profile):
            continue
        added = campaign.created(position)
        event = added + (profile.last_event or 0)
        if _later(event, wanted.event_after) and _later(
            added + (profile.last_sent or 0), wanted.sent_after
        ):
            found.append(position)
    return tuple(found)


def _later(at: float | None, than: float | None) -> bool:
    """To the millisecond, as the times are written."""
    return than is None or (at is not None and round(at * 1000) > round(than * 1000))


def _as_profile(standing: Standing) -> Profile:
    """The profile that the lead would have if it had been seeded as it stands now."""
    change, seeded = standing.change, standing.profile
    if change is None:
        return seeded
    events = seeded.events + tuple(
        Event(m.reply, int(m.at) - standing.created, m.step, m.opens, m.clicks)
        for m in change.messages
    )
    unsubscribed = seeded.unsubscribed or change.unsubscribed
    return Profile(standing.status, standing.category, events, seeded.bounced, unsubscribed)
