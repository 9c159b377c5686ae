"""What the pages of vpn show. Everything here runs inside the brand's scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import F, OuterRef, Prefetch, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from accounts.models import User
from billing import entitlements
from vpn.models import (
    CONNECTED_FOR,
    AddressLease,
    Device,
    DeviceUsage,
    Peer,
    Server,
    status_of,
)
from vpn.templatetags.vpn import UNITS, scaled

PAGE = 50
CHART_DAYS = 14


@dataclass(frozen=True)
class Row:
    """A device as a list shows it. `down` and `up` are the customer's, in bytes this month."""

    device: Device
    addresses: list[str]
    last_handshake: datetime | None
    status: str
    down: int
    up: int


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    before: int | None  # ids to page from, newest first
    after: int | None


@dataclass(frozen=True)
class Room:
    """How many devices the brand's plan carries and how many it has."""

    used: int
    limit: int
    live: bool
    plan_name: str

    @property
    def full(self) -> bool:
        return self.used >= self.limit

    @property
    def hint(self) -> str:
        return f"of {self.limit} in {self.plan_name}" if self.live else "paused"


def visible(user: User, *, sees_all: bool) -> QuerySet[Device]:
    """Return the devices that a person may know of: their own, or everyone's."""
    rows: QuerySet[Device] = Device.objects.all()
    return rows if sees_all else rows.filter(owner=user)


def filtered(rows: QuerySet[Device], *, q: str, status: str, now: datetime) -> QuerySet[Device]:
    """Narrow to names or owners that contain `q` and to a status ("" means all but revoked)."""
    if q:
        rows = rows.filter(Q(name__icontains=q) | Q(owner__email__icontains=q))
    live, recent = Q(revoked_at=None), Q(handshake__gte=now - CONNECTED_FOR)
    wanted = {
        "": live,
        "connected": live & Q(suspended_at=None) & recent,
        "suspended": live & Q(suspended_at__isnull=False),
        "revoked": ~live,
        "all": Q(),
    }
    return _with_handshake(rows).filter(wanted.get(status, live))


def page(rows: QuerySet[Device], *, now: datetime, before: int | None, after: int | None) -> Page:
    """Return a page, newest first: the devices older than `after`, or newer than `before`."""
    if before is not None:
        found = list(reversed(_shown(rows.filter(pk__gt=before), now).order_by("pk")[: PAGE + 1]))
        more, found = len(found) > PAGE, found[-PAGE:]
        return Page(_rows(found, now), found[0].pk if more else None, _last(found))
    older = rows if after is None else rows.filter(pk__lt=after)
    found = list(_shown(older, now).order_by("-pk")[: PAGE + 1])
    more, found = len(found) > PAGE, found[:PAGE]
    first = found[0].pk if found and after is not None else None
    return Page(_rows(found, now), first, found[-1].pk if more else None)


def row(device: Device, now: datetime) -> Row:
    """Return one device as lists show it."""
    found = _shown(_with_handshake(Device.objects.filter(pk=device.pk)), now)
    return _rows(list(found), now)[0]


def usage_by_day(devices: QuerySet[Device], now: datetime) -> tuple[list[tuple[str, float]], str]:
    """Return (day, amount) for the last CHART_DAYS days, beginning with the first that saw any
    traffic, and the unit of the amounts. Empty when nothing was used."""
    first = now.date() - timedelta(days=CHART_DAYS - 1)
    sums: dict[date, int] = dict(
        DeviceUsage.objects.filter(device__in=devices, day__gte=first)
        .values_list("day")
        .annotate(total=Sum(F("received") + F("sent")))
    )
    most = max(sums.values(), default=0)
    if not most:
        return [], ""
    unit = scaled(most)[1]
    divisor = 1000 ** UNITS.index(unit)
    days = [min(sums) + timedelta(days=n) for n in range((now.date() - min(sums)).days + 1)]
    return [(f"{d:%a} {d.day} {d:%b}", _short(sums.get(d, 0) / divisor)) for d in days], unit


def used_this_month(devices: QuerySet[Device], now: datetime) -> int:
    """Return the bytes of the calendar month (UTC), both ways."""
    rows = DeviceUsage.objects.filter(device__in=devices, day__gte=month_start(now))
    total: int = rows.aggregate(total=Sum(F("received") + F("sent"), default=0))["total"]
    return total


def room(brand_id: int) -> Room:
    """Return how the brand stands against its plan's device limit."""
    rights = entitlements.of(brand_id)
    return Room(
        used=Device.objects.filter(revoked_at=None).count(),
        limit=rights.devices,
        live=rights.live,
        plan_name=rights.plan_name,
    )


def connected(devices: QuerySet[Device], now: datetime) -> int:
    """Return how many of the devices are connected now."""
    return filtered(devices, q="", status="connected", now=now).count()


def open_servers() -> QuerySet[Server]:
    """Return the servers that take devices."""
    return Server.objects.filter(enabled=True).exclude(public_key="").order_by("region", "name")


def month_start(now: datetime) -> date:
    return now.date().replace(day=1)


def _with_handshake(rows: QuerySet[Device]) -> QuerySet[Device]:
    peers = Peer.objects.filter(device=OuterRef("pk")).order_by("-id")
    return rows.annotate(handshake=Subquery(peers.values("last_handshake_at")[:1]))


def _shown(rows: QuerySet[Device], now: datetime) -> QuerySet[Any]:
    month = DeviceUsage.objects.filter(device=OuterRef("pk"), day__gte=month_start(now))
    grouped = month.order_by().values("device")
    leases = AddressLease.objects.order_by("id")
    return (
        rows.annotate(
            down=Coalesce(Subquery(grouped.annotate(n=Sum("sent")).values("n")), 0),
            up=Coalesce(Subquery(grouped.annotate(n=Sum("received")).values("n")), 0),
        )
        .select_related("server", "owner")
        .prefetch_related(Prefetch("leases", queryset=leases))
    )


def _rows(found: Sequence[Any], now: datetime) -> list[Row]:
    return [
        Row(
            device=device,
            addresses=[
                str(lease.address)
                for lease in device.leases.all()
                if device.revoked_at or lease.released_at is None
            ],
            last_handshake=device.handshake,
            status=status_of(device, last_handshake=device.handshake, now=now),
            down=device.down,
            up=device.up,
        )
        for device in found
    ]


def _last(found: Sequence[Device]) -> int | None:
    return found[-1].pk if found else None


def _short(value: float) -> float:
    return round(value, 2 if value < 10 else 1)
