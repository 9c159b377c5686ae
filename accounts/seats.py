"""Places in a team: a plan has room for so many people, and an open invitation holds a place.

Billing tells the limit (it is above accounts, so it registers itself). Call in the brand's scope;
what must not be overtaken by somebody else locks the brand's row first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils import timezone

from accounts.models import Brand, Invitation, Membership
from saas.errors import Bug, Refused

Limit = Callable[[int], int]
_limits: list[Limit] = []


@dataclass(frozen=True)
class Seats:
    """`members` are in the team, `invited` hold open invitations, `limit` is the plan's."""

    members: int
    invited: int
    limit: int

    @property
    def full(self) -> bool:
        """Nobody more can be invited; those invited can still join."""
        return self.members + self.invited >= self.limit


def limited_by(limit: Limit) -> None:
    """Register `limit(brand_id)`: how many people the brand may have."""
    _limits[:] = [limit]


def of(brand_id: int) -> Seats:
    """Return the brand's places now."""
    if not _limits:
        raise Bug("nobody told accounts.seats how many people a brand may have")
    offers = Invitation.objects.filter(accepted_at=None, revoked_at=None)
    return Seats(
        members=Membership.objects.count(),
        invited=offers.filter(expires_at__gt=timezone.now()).count(),
        limit=_limits[0](brand_id),
    )


def need_one_to_offer(brand_id: int) -> None:
    """Raise Refused, for someone who invites, when no place is left. Call with the brand locked."""
    seats = of(brand_id)
    if seats.full:
        invited = f", and {seats.invited} invited" if seats.invited else ""
        way = "Withdraw an invitation, or choose" if seats.invited else "Choose"
        raise Refused(
            "team_full",
            f"Your plan has room for {_people(seats.limit)}: {seats.members} in the team{invited}."
            f" {way} a larger plan under Billing.",
        )


def need_one_to_join(brand: Brand) -> None:
    """Raise Refused, for someone invited, when no place is left. Call with the brand locked."""
    seats = of(brand.pk)
    if seats.members >= seats.limit:
        raise Refused(
            "team_full",
            f"{brand.name} has room for {_people(seats.limit)}, and every place is taken."
            " Ask who invited you for a place; your invitation stays open until then.",
        )


def _people(number: int) -> str:
    return "one person" if number == 1 else f"{number} people"
