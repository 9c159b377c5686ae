"""VPN devices of the demo, with a fortnight of traffic behind them."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from accounts.models import Brand, User
from vpn import devices, metering, servers
from vpn.models import Server
from vpn.reports import Reading, Report

DAYS = 13
GIGABYTE = 10**9
HABITS = {"ada-laptop": (3, 1, 4, 2, 5, 1, 0), "ada-phone": (1, 1, 2, 1, 2, 3, 2)}


def make(brand: Brand, owner: User) -> None:
    """Give the brand two devices on the demo's server; the simulated node moves their counters."""
    server = servers.ensure_demo_server(settings.VAR / "node")
    for name, habits in HABITS.items():
        fresh = devices.create(
            brand_id=brand.pk,
            owner=owner,
            server_id=server.pk,
            name=name,
            actor=owner,
            request_key=uuid.uuid4(),
        )
        _live_a_fortnight(server, fresh.pair.public, habits)


def _live_a_fortnight(server: Server, key: str, habits: tuple[int, ...]) -> None:
    """Report what the device used on each of the last days, as its node would have."""
    epoch, sent = str(uuid.uuid4()), 0
    for day in range(DAYS):
        at = timezone.now() - timedelta(days=DAYS - day)
        sent += habits[day % len(habits)] * GIGABYTE * (90 + day) // 100
        reading = Reading(key, epoch, sent // 8, sent, at, present=False)
        report = Report("demo", server.public_key, "", day, "", (reading,))
        metering.record(server, report, at)
