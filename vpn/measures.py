"""The VPN's numbers for the operators' dashboards, read at the scrape (under everyone()).

Labels are bounded: states, directions, and at most MOST_NODES nodes, the longest silent first.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from prometheus_client import Counter

from saas.observability.metrics import Gauge
from vpn.models import CONNECTED_FOR, NODE_SILENT_AFTER, Device, Peer, Server

MOST_NODES = 100

# What the ledger took, not what nodes said: a repeated report adds nothing.
METERED = Counter("harbor_vpn_metered_bytes", "Bytes metered, as the nodes see them", ["direction"])


def gauges() -> Iterator[Gauge]:
    """Yield how many devices and nodes are there and well, and how long each node is silent."""
    now = timezone.now()
    yield from _devices(now)
    yield from _nodes(now)


def _devices(now: datetime) -> Iterator[Gauge]:
    live = Device.objects.filter(revoked_at=None)
    counts = live.aggregate(
        active=Count("pk", filter=Q(suspended_at=None)),
        suspended=Count("pk", filter=Q(suspended_at__isnull=False)),
    )
    for state, count in counts.items():
        yield Gauge("harbor_vpn_devices", "Live VPN devices", float(count), {"state": state})
    connected = Peer.objects.filter(
        retired_at=None,
        last_handshake_at__gt=now - CONNECTED_FOR,
        device__revoked_at=None,
        device__suspended_at=None,
    ).count()
    yield Gauge("harbor_vpn_devices_connected", "VPN devices connected now", float(connected))


def _nodes(now: datetime) -> Iterator[Gauge]:
    expected = Server.objects.filter(enabled=True)
    online = expected.filter(last_seen_at__gt=now - NODE_SILENT_AFTER).count()
    for state, count in (("expected", expected.count()), ("online", online)):
        yield Gauge("harbor_vpn_nodes", "VPN nodes in service", float(count), {"state": state})
    heard = expected.annotate(heard_at=Coalesce("last_seen_at", "created_at"))
    longest_silent = heard.order_by("heard_at").values_list("name", "heard_at")[:MOST_NODES]
    for name, heard_at in longest_silent:
        yield Gauge(
            "harbor_vpn_node_report_age_seconds",
            "Since a node's last report, or its registration when it never reported",
            (now - heard_at).total_seconds(),
            {"node": name},
        )
