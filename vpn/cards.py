"""What vpn puts on a brand's overview page and into its export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils import timezone

from accounts import overview, privacy
from accounts.requests import BrandRequest
from accounts.roles import Permission, allows
from billing.pages import count_use
from vpn import selectors
from vpn.models import Device, DeviceUsage


def _card(request: BrandRequest) -> dict[str, Any]:
    now, room = timezone.now(), selectors.room(request.brand.pk)
    sees_all = allows(request.membership.role, Permission.MANAGE_VPN)
    devices = selectors.visible(request.user, sees_all=sees_all)
    return {
        "room": room,
        "may_create": allows(request.membership.role, Permission.USE_VPN),
        "connected": selectors.connected(devices, now),
        "month": selectors.used_this_month(devices, now),
    }


def _has_device(request: BrandRequest) -> bool:  # noqa: ARG001
    return Device.objects.exists()


def _in_use(_: int) -> int:
    return Device.objects.filter(revoked_at=None).count()


overview.card(40, "vpn/card.html", _card)
count_use("devices", _in_use)
overview.step(40, "Add a VPN device", "vpn:devices", _has_device, permission=Permission.USE_VPN)


def _devices(brand_id: int) -> Iterator[dict[str, Any]]:
    fields = (
        *("name", "owner__email", "protocol", "server__region"),
        *("created_at", "suspended_at", "revoked_at"),
    )
    yield from privacy.pages(brand_id, Device.objects.all, *fields)


def _usage(brand_id: int) -> Iterator[dict[str, Any]]:
    fields = ("device__name", "server__region", "day", "received", "sent")
    yield from privacy.pages(brand_id, DeviceUsage.objects.all, *fields)


def _erase_devices() -> int:
    """Keys, addresses and records of traffic go with their devices; the nodes drop the peers."""
    batch = list(Device.objects.order_by("pk").values_list("pk", flat=True)[:50])
    Device.objects.filter(pk__in=batch).delete()
    return len(batch)


privacy.register(
    "vpn_devices",
    order=40,
    rows=_devices,
    noun="VPN devices",
    count=Device.objects.count,
    erase=_erase_devices,
)
privacy.register("vpn_usage", order=41, rows=_usage)
