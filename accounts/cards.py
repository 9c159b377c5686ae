"""What accounts itself puts on the overview and into a brand's export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accounts import overview, privacy
from accounts.models import Brand, Invitation, Membership
from accounts.requests import BrandRequest
from accounts.roles import Permission


def _has_company(request: BrandRequest) -> bool:  # noqa: ARG001
    return Membership.objects.count() > 1 or Invitation.objects.exists()


overview.step(
    90, "Invite a colleague", "accounts:team", _has_company, permission=Permission.MANAGE_TEAM
)


def _brand(brand_id: int) -> Iterator[dict[str, Any]]:
    fields = ("name", "slug", "email", "time_zone", "created_at")
    yield from privacy.pages(brand_id, lambda: Brand.objects.filter(pk=brand_id), *fields)


def _members(brand_id: int) -> Iterator[dict[str, Any]]:
    rows = Membership.objects.all
    yield from privacy.pages(brand_id, rows, "user__email", "user__name", "role", "created_at")


def _invitations(brand_id: int) -> Iterator[dict[str, Any]]:
    fields = ("email", "role", "created_at", "expires_at", "accepted_at", "revoked_at")
    yield from privacy.pages(brand_id, Invitation.objects.all, *fields)


privacy.register("brand", order=0, rows=_brand)
privacy.register("team", order=1, rows=_members, noun="members", count=Membership.objects.count)
privacy.register(
    "invitations", order=2, rows=_invitations, noun="invitations", count=Invitation.objects.count
)
