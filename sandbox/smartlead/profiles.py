"""How far each lead of a campaign has come, without storing it.

Positions come in blocks of 1000, and a block holds each of 1000 profiles once, in an order of its
own. So the n-th lead that replied, or how many have, is arithmetic and not a search.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache, lru_cache

from sandbox.smartlead.people import mix

BLOCK = 1000
_STEP = 389
_UNSTEP = pow(_STEP, -1, BLOCK)
DAY = 86_400
HORIZON = 45 * DAY  # nothing happens to a lead later than this after it was added

INTERESTED, MEETING, NOT_INTERESTED, DO_NOT_CONTACT, INFORMATION = 1, 2, 3, 4, 5
OUT_OF_OFFICE, WRONG_PERSON, UNCATEGORIZABLE, SENDER_BOUNCE = 6, 7, 8, 9
CUSTOM_CATEGORY = 118_342


@dataclass(frozen=True, slots=True)
class Event:
    """One message, `after` seconds after the lead was added.

    `step` is the sequence number; None: written by hand.
    """

    reply: bool
    after: int
    step: int | None
    opens: int = 0
    clicks: int = 0

    @property
    def offset(self) -> float:
        """`after` with milliseconds, as mail servers stamp them."""
        return self.after + self.after * 7919 % 1000 / 1000


@dataclass(frozen=True, slots=True)
class Profile:
    status: str
    category: int | None
    events: tuple[Event, ...]
    bounced: bool = False
    unsubscribed: bool = False

    @property
    def replied(self) -> bool:
        return any(event.reply for event in self.events)

    @property
    def opened(self) -> bool:
        return any(event.opens for event in self.events)

    @property
    def clicked(self) -> bool:
        return any(event.clicks for event in self.events)

    @property
    def last_event(self) -> float | None:
        """Seconds after the lead was added; None when nothing was sent yet."""
        return self.events[-1].offset if self.events else None

    @property
    def last_sent(self) -> float | None:
        return max((event.offset for event in self.events if not event.reply), default=None)


def slot(root: int, position: int) -> int:
    """Which of the 1000 profiles the lead at this position of the campaign has."""
    block, offset = divmod(position, BLOCK)
    return (offset * _STEP + _turn(root, block)) % BLOCK


@lru_cache(maxsize=4096)
def _turn(root: int, block: int) -> int:
    return mix(root ^ (block << 32)) % BLOCK


class Ranks:
    """The positions whose slot is in `slots`, in order: how many lie below a position, and which is
    the n-th.
    """

    def __init__(self, root: int, slots: frozenset[int]) -> None:
        self._root = root
        self._slots = slots
        self._offsets = lru_cache(maxsize=256)(self._make_offsets)

    def below(self, position: int) -> int:
        block, offset = divmod(position, BLOCK)
        partial = sum(1 for known in self._offsets(block) if known < offset) if offset else 0
        return block * len(self._slots) + partial

    def nth(self, index: int) -> int:
        block, rest = divmod(index, len(self._slots))
        return block * BLOCK + self._offsets(block)[rest]

    def _make_offsets(self, block: int) -> list[int]:
        turn = _turn(self._root, block)
        return sorted((value - turn) * _UNSTEP % BLOCK for value in self._slots)


@cache
def profiles(campaign_status: str) -> tuple[Profile, ...]:
    """The 1000 profiles of a campaign in this status; the same in every process and release."""
    dice = random.Random(f"profiles {campaign_status}")
    return tuple(_profile(campaign_status, number, dice) for number in range(BLOCK))


def _profile(campaign_status: str, number: int, dice: random.Random) -> Profile:
    if campaign_status == "DRAFTED":
        return Profile("STARTED", None, ())
    if number < 85:
        return _replied(number, dice)
    if number < 105:
        return Profile(
            "BLOCKED", SENDER_BOUNCE if number < 90 else None, _sent(1, dice), bounced=True
        )
    if number < 115:
        return Profile(
            "COMPLETED", DO_NOT_CONTACT, _sent(dice.randint(1, 3), dice), unsubscribed=True
        )
    if campaign_status == "COMPLETED" or number < 500:
        return Profile("COMPLETED", None, _sent(4, dice))
    if number < 800:
        status = {"ACTIVE": "INPROGRESS", "PAUSED": "PAUSED"}.get(campaign_status, "STOPPED")
        return Profile(status, None, _sent(dice.randint(1, 3), dice))
    return Profile("STARTED", None, ())


def _replied(number: int, dice: random.Random) -> Profile:
    shares = (
        (INTERESTED, 22), (MEETING, 12), (NOT_INTERESTED, 20), (DO_NOT_CONTACT, 4),
        (INFORMATION, 8), (OUT_OF_OFFICE, 12), (WRONG_PERSON, 3),
        (UNCATEGORIZABLE, 2), (CUSTOM_CATEGORY, 2),
    )  # fmt: skip
    category = next(c for c, top in _running(shares) if number < top)
    sent = _sent(dice.randint(1, 3), dice, opened=1.0)
    at = sent[-1].after + dice.randint(600, 3 * DAY)
    thread = [*sent, Event(True, at, None)]
    if category in (INTERESTED, MEETING, INFORMATION):
        at += dice.randint(300, DAY)
        thread.append(Event(False, at, None, opens=dice.randint(1, 4)))
        if number % 3:
            thread.append(Event(True, at + dice.randint(600, 2 * DAY), None))
    return Profile("COMPLETED", category, tuple(thread))


def _running(shares: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    top, found = 0, []
    for category, share in shares:
        top += share
        found.append((category, top))
    return found


def _sent(count: int, dice: random.Random, *, opened: float = 0.35) -> tuple[Event, ...]:
    events, at = [], dice.randint(60, DAY)
    for step in range(1, count + 1):
        opens = dice.randint(1, 9) if dice.random() < opened else 0
        clicks = 1 if opens and dice.random() < 0.12 else 0
        events.append(Event(False, at, step, opens, clicks))
        at += dice.choice((3, 4, 5)) * DAY + dice.randint(0, 7200)
    return tuple(events)
