"""Metering: a node's absolute counters become usage, each byte once.

A reading is (key, epoch, bytes since the epoch began). Within an epoch counters only grow, so the
usage of an epoch is the highest value ever seen, and a device's usage is the sum over its epochs.
That holds for reports that come twice, late, out of order or not at all: a later one includes them.
A counter that restarts begins a new epoch, which the agent names (vpn.agent.meter).

Every increment is written in one transaction to the counter's new height, a row of the ledger, the
day's total, and what is billed of a brand that pays by the gigabyte (billing.usage). Reports of one
node are serial (an advisory lock).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.db import connection
from django.utils import timezone

from billing import usage
from saas import audit
from saas.tenancy import everyone
from vpn import measures
from vpn.models import Counter, Peer, Server
from vpn.reports import Reading, Report

log = structlog.get_logger(__name__)

LOCK_SPACE = 0x56504E  # "VPN": the first half of the advisory lock's key; the second is the server
CLOCK_SLACK = timedelta(minutes=5)
EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
Heights = Mapping[tuple[str, str], tuple[int, int]]

# Whole reports at a time. (Not executemany: pghistory's context can't ride on it.)
_COUNTERS = """
INSERT INTO vpn_counter (brand_id, peer_id, epoch, received, sent)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[])
ON CONFLICT (peer_id, epoch) DO UPDATE SET received = excluded.received, sent = excluded.sent"""
_LEDGER = """
INSERT INTO vpn_usagesample AS t
  (brand_id, device_id, epoch, received, sent, server_id, sample, counted_at)
SELECT g.*, %s, %s, %s
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[]) g
ON CONFLICT (device_id, server_id, epoch, sample)
DO UPDATE SET received = t.received + excluded.received, sent = t.sent + excluded.sent"""
_DAYS = """
INSERT INTO vpn_deviceusage AS t (brand_id, device_id, received, sent, server_id, day)
SELECT b, d, sum(r), sum(s), %s, %s
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) AS g (b, d, r, s)
GROUP BY b, d
ON CONFLICT (device_id, server_id, day)
DO UPDATE SET received = t.received + excluded.received, sent = t.sent + excluded.sent"""
_HANDSHAKES = """
UPDATE vpn_peer p SET last_handshake_at = g.at
FROM unnest(%s::bigint[], %s::timestamptz[]) AS g (id, at) WHERE p.id = g.id"""


@dataclass(frozen=True)
class Increment:
    """What a reading adds, and the height that its counter then has."""

    public_key: str
    epoch: str
    received: int
    sent: int
    height: tuple[int, int]


@dataclass(frozen=True)
class Counted:
    """What came of a report: readings of known keys, keys that are not this node's, bytes added."""

    known: int
    unknown: int
    received: int
    sent: int


def increments(heights: Heights, readings: Iterable[Reading]) -> list[Increment]:
    """Return what `readings` add over `heights` (the highest counters by key and epoch).

    Only growth is returned: a repeated or an older reading adds nothing.
    """
    reached: dict[tuple[str, str], tuple[int, int]] = {}
    for reading in readings:
        place = (reading.public_key, reading.epoch)
        received, sent = reached.get(place) or heights.get(place, (0, 0))
        reached[place] = (max(received, reading.received), max(sent, reading.sent))
    grown = []
    for (key, epoch), height in reached.items():
        before = heights.get((key, epoch), (0, 0))
        if height != before:
            more = (height[0] - before[0], height[1] - before[1])
            grown.append(Increment(key, epoch, *more, height))
    return grown


def record(server: Server, report: Report, now: datetime | None = None) -> Counted:
    """Count a node's report and note what the node says of itself. Safe to repeat, in any order.

    Keys of other nodes are ignored: a node can speak of its own devices alone. Usage falls on the
    UTC day of `now`, not of the node's clock.
    """
    moment = now or timezone.now()
    with everyone(f"vpn: report of {server.name}"):
        _lock(server.pk)
        peers = _own_peers(server, report)
        readings = [r for r in report.readings if r.public_key in peers]
        grown = increments(_heights(peers, readings), readings)
        _count(server, peers, grown, sample=report.sample, now=moment)
        _note_handshakes(peers, readings, moment)
        counted = Counted(
            known=len(readings),
            unknown=len(report.readings) - len(readings),
            received=sum(i.received for i in grown),
            sent=sum(i.sent for i in grown),
        )
        _note_server(server, report, counted, moment)
    measures.METERED.labels("received").inc(counted.received)
    measures.METERED.labels("sent").inc(counted.sent)
    return counted


def _lock(server_id: int) -> None:
    _run("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, server_id])


def _own_peers(server: Server, report: Report) -> dict[str, Peer]:
    keys = {reading.public_key for reading in report.readings}
    return {p.public_key: p for p in Peer.objects.filter(server=server, public_key__in=keys)}


def _heights(peers: Mapping[str, Peer], readings: Iterable[Reading]) -> Heights:
    epochs = {reading.epoch for reading in readings}
    rows = Counter.objects.filter(
        peer_id__in=[peer.pk for peer in peers.values()], epoch__in=epochs
    ).values_list("peer__public_key", "epoch", "received", "sent")
    return {(key, epoch): (received, sent) for key, epoch, received, sent in rows}


def _count(
    server: Server,
    peers: Mapping[str, Peer],
    grown: list[Increment],
    *,
    sample: int,
    now: datetime,
) -> None:
    brands = [peers[step.public_key].brand_id for step in grown]
    keys = [peers[step.public_key].pk for step in grown]
    owners = [peers[step.public_key].device_id for step in grown]
    epochs = [step.epoch for step in grown]
    added = [[step.received for step in grown], [step.sent for step in grown]]
    heights = [[step.height[0] for step in grown], [step.height[1] for step in grown]]
    if grown:
        _run(_COUNTERS, [brands, keys, epochs, *heights])
        _run(_LEDGER, [server.pk, sample, now, brands, owners, epochs, *added])
        _run(_DAYS, [server.pk, now.date(), brands, owners, *added])
        _bill(peers, grown, now)


def _bill(peers: Mapping[str, Peer], grown: list[Increment], now: datetime) -> None:
    """Count both directions for the brands; those of plans without a meter are passed over."""
    used: dict[int, int] = {}
    for step in grown:
        brand_id = peers[step.public_key].brand_id
        used[brand_id] = used.get(brand_id, 0) + step.received + step.sent
    usage.count(used, now)


def _run(sql: str, values: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def _note_handshakes(peers: Mapping[str, Peer], readings: Iterable[Reading], now: datetime) -> None:
    latest: dict[int, datetime] = {}
    for reading in readings:
        at, peer = reading.last_handshake, peers[reading.public_key]
        # A node whose clock runs ahead must not keep a device "connected" for years.
        if at and at <= now + CLOCK_SLACK and at > (peer.last_handshake_at or EPOCH_START):
            latest[peer.pk] = max(at, latest.get(peer.pk, EPOCH_START))
    if latest:
        _run(_HANDSHAKES, [list(latest), list(latest.values())])


def _note_server(server: Server, report: Report, counted: Counted, now: datetime) -> None:
    """Note the node's state. The first key it tells is taken; another one later is only shown."""
    learned = Server.objects.filter(pk=server.pk, public_key="").update(
        public_key=report.public_key
    )
    if learned:
        audit.record("server.key_learned", server, actor=None)
    elif server.public_key and server.public_key != report.public_key:
        log.error("vpn.server_key_changed", server=server.name)
    Server.objects.filter(pk=server.pk).update(
        last_seen_at=now,
        reported={
            "agent": report.agent,
            "applied": report.applied,
            "error": report.error,
            "key": report.public_key,
            "peers": sum(r.present for r in report.readings),
            "unknown": counted.unknown,
        },
    )
