"""Convergence: which devices a brand's plan carries now.

`converge` compares a brand's live devices with its entitlement and suspends or resumes the
difference. It runs when the entitlement changes, and for every brand in the sweep, so a lost
message costs half a minute. What a suspended device loses is its place in the node's desired
state; its name, key and addresses wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts import brands
from accounts.models import Membership
from billing import entitlements
from saas import audit
from saas.tenancy import everyone, scope
from vpn import devices
from vpn.models import Device


@dataclass(frozen=True)
class Change:
    """The device ids to move, each list in the order of creation."""

    suspend: list[int]
    resume: list[int]

    def __bool__(self) -> bool:
        return bool(self.suspend or self.resume)


def plan(live: Sequence[tuple[int, bool]], allowed: int) -> Change:
    """Decide over a brand's live devices, (id, suspended) oldest first: the oldest `allowed` run.

    >>> plan([(1, False), (2, True), (3, False)], allowed=2)
    Change(suspend=[3], resume=[2])
    """
    carried, surplus = live[:allowed], live[allowed:]
    return Change(
        suspend=[pk for pk, suspended in surplus if not suspended],
        resume=[pk for pk, suspended in carried if suspended],
    )


def converge(brand_id: int, now: datetime | None = None) -> int:
    """Bring the brand's devices in line with its plan and team; return how many moved.

    Revokes the devices of people who left the team. Audited; safe to repeat; locks the brand's row
    only when something is to be done.
    """
    with scope(brand_id):
        if not _leavers() and not _change(brand_id, now):
            return 0
        brands.lock(brand_id)
        moved = _revoke_leavers(brand_id)
        change = _change(brand_id, now)
        moment = now or timezone.now()
        _move(change.suspend, "device.suspended", suspended_at=moment)
        _move(change.resume, "device.resumed", suspended_at=None)
    return moved + len(change.suspend) + len(change.resume)


def sweep() -> int:
    """Converge every brand that has live devices; return how many devices moved."""
    with everyone("vpn sweep: brands with live devices"):
        holders = list(
            Device.objects.filter(revoked_at=None)
            .order_by("brand_id")
            .values_list("brand_id", flat=True)
            .distinct()
        )
    return sum(converge(brand_id) for brand_id in holders)


def _change(brand_id: int, now: datetime | None) -> Change:
    allowed = entitlements.of(brand_id, now).devices
    live = Device.objects.filter(revoked_at=None).order_by("id").values_list("id", "suspended_at")
    return plan([(pk, suspended is not None) for pk, suspended in live], allowed)


def _move(ids: list[int], action: str, *, suspended_at: datetime | None) -> None:
    for device in Device.objects.select_for_update(no_key=True).filter(pk__in=ids, revoked_at=None):
        device.suspended_at = suspended_at
        device.save(update_fields=["suspended_at"])
        audit.record(action, device, actor=None, reason="the plan's device limit")


def _leavers() -> list[int]:
    members = Membership.objects.filter(brand_id=OuterRef("brand_id"), user_id=OuterRef("owner_id"))
    gone = Device.objects.filter(~Exists(members), revoked_at=None)
    return list(gone.values_list("pk", flat=True))


def _revoke_leavers(brand_id: int) -> int:
    gone = _leavers()
    for device_id in gone:
        devices.revoke(
            device_id=device_id, brand_id=brand_id, actor=None, reason="the owner left the team"
        )
    return len(gone)
