"""The statistics of a campaign: one row a sequence mail, counted and paged by arithmetic like the
leads.

Only mails near the ends of a wanted time span are looked at one by one, and touched leads.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import Any

from sandbox.smartlead.account import Campaign
from sandbox.smartlead.book import Book
from sandbox.smartlead.profiles import BLOCK, HORIZON, Event, Profile, profiles, slot
from sandbox.smartlead.shapes import statistics_rows

Place = tuple[int, int]  # position in the campaign, step of the sequence


class Statistics:
    """A sequence of rows. `state` is one of STATES or None, `step` a sequence number; times in
    epoch seconds, inclusive.
    """

    STATES = ("opened", "clicked", "replied", "unsubscribed", "bounced")

    def __init__(
        self,
        book: Book,
        campaign: Campaign,
        *,
        state: str | None = None,
        step: int | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> None:
        self._book, self._campaign = book, campaign
        self._steps = _fitting_steps(campaign.status, state, step)
        self._weights = _Weights(campaign.root, tuple(map(len, self._steps)))
        low, sure_from, sure_to, high = _borders(campaign, start, end)
        self._head = self._scan(range(low, min(sure_from, high)), start, end)
        self._tail = self._scan(range(max(sure_to, sure_from), high), start, end)
        self._skip = self._weights.below(sure_from)
        self._middle = max(self._weights.below(sure_to) - self._skip, 0)
        self._tail += self._touched(state, step, start, end)

    def __len__(self) -> int:
        return len(self._head) + self._middle + len(self._tail)

    def place(self, index: int) -> Place:
        """Which mail of which lead the row is."""
        if index < len(self._head):
            return self._head[index]
        index -= len(self._head)
        if index >= self._middle:
            return self._tail[index - self._middle]
        position, nth = self._weights.nth(self._skip + index)
        return position, self._steps[slot(self._campaign.root, position)][nth]

    def page(self, offset: int, limit: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        rows: dict[int, dict[str, Any]] = {}
        current = -1
        for index in range(offset, min(offset + limit, len(self))):
            position, step = self.place(index)
            if position != current:
                standing = self._book.standing(self._campaign, position)
                rows = {
                    row["sequence_number"]: row for row in statistics_rows(self._book, standing)
                }
                current = position
            found.append(rows[step])
        return found

    def _scan(self, span: range, start: float | None, end: float | None) -> list[Place]:
        found = []
        known = profiles(self._campaign.status)
        for position in span:
            number = slot(self._campaign.root, position)
            created = self._campaign.created(position)
            found += [
                (position, event.step)
                for event in known[number].events
                if event.step in self._steps[number] and _within(created + event.offset, start, end)
            ]
        return found

    def _touched(
        self, state: str | None, step: int | None, start: float | None, end: float | None
    ) -> list[Place]:
        """The last mails of leads that came to fit `state` since they were seeded."""
        found = []
        for campaign_id, position in sorted(self._book.changes):
            change = self._book.changes[campaign_id, position]
            came = {
                "replied": any(m.reply for m in change.messages),
                "unsubscribed": change.unsubscribed,
            }
            if campaign_id != self._campaign.id or not came.get(state or ""):
                continue
            sent = [e for e in self._book.seeded_profile(self._campaign, position).events if e.step]
            already = (
                position < self._campaign.seeded
                and self._steps[slot(self._campaign.root, position)]
            )
            created = self._campaign.created(position)
            if (
                sent
                and not already
                and step in (None, sent[-1].step)
                and _within(created + sent[-1].offset, start, end)
            ):
                found.append((position, sent[-1].step or 0))
        return found


class _Weights:
    """Rows by position, when a lead of slot n has `weights[n]` of them."""

    def __init__(self, root: int, weights: tuple[int, ...]) -> None:
        self._root, self._weights = root, weights
        self._per_block = sum(weights)
        self._sums = lru_cache(maxsize=16)(self._make_sums)

    def below(self, position: int) -> int:
        block, offset = divmod(position, BLOCK)
        return block * self._per_block + (self._sums(block)[offset - 1] if offset else 0)

    def nth(self, index: int) -> tuple[int, int]:
        block, rest = divmod(index, self._per_block)
        sums = self._sums(block)
        offset = bisect_right(sums, rest)
        return block * BLOCK + offset, rest - (sums[offset - 1] if offset else 0)

    def _make_sums(self, block: int) -> list[int]:
        first = block * BLOCK
        return list(
            accumulate(self._weights[slot(self._root, first + offset)] for offset in range(BLOCK))
        )


@lru_cache(maxsize=256)
def _fitting_steps(
    campaign_status: str, state: str | None, step: int | None
) -> tuple[tuple[int, ...], ...]:
    return tuple(
        tuple(
            e.step
            for e in profile.events
            if e.step and step in (None, e.step) and _fits(profile, e, state)
        )
        for profile in profiles(campaign_status)
    )


def _fits(profile: Profile, event: Event, state: str | None) -> bool:
    match state:
        case "opened":
            return bool(event.opens)
        case "clicked":
            return bool(event.clicks)
        case "replied":
            return profile.replied and event is [e for e in profile.events if e.step][-1]
        case "unsubscribed":
            return profile.unsubscribed
        case "bounced":
            return profile.bounced
    return True


def _within(at: float, start: float | None, end: float | None) -> bool:
    return (start is None or at >= start) and (end is None or at <= end)


def _borders(
    campaign: Campaign, start: float | None, end: float | None
) -> tuple[int, int, int, int]:
    """Positions: none fits below the first or from the fourth on; from second to third all mails
    fit.
    """
    positions = range(campaign.seeded)

    def at(moment: float) -> int:
        return bisect_left(positions, moment, key=campaign.created)

    low, sure_from = (0, 0) if start is None else (at(start - HORIZON), at(start))
    sure_to, high = (campaign.seeded,) * 2 if end is None else (at(end - HORIZON), at(end))
    return low, sure_from, max(sure_to, sure_from), max(high, low)
