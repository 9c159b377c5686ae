"""Desired state: what a node should hold, computed from the database and nothing else."""

from __future__ import annotations

import ipaddress
from typing import Any, TypedDict

from django.db import connection
from django.db.models import Prefetch

from saas.tenancy import everyone
from vpn.models import AddressLease, Peer, Server


class WantedPeer(TypedDict):
    public_key: str
    preshared_key: str
    allowed_ips: list[str]


class Desired(TypedDict):
    """The body of the agent's desired state. `version` is its ETag, without the quotes."""

    version: str
    interface: dict[str, Any]
    peers: list[WantedPeer]


def fingerprint(server_id: int) -> str:
    """Return a hash that changes when the node's desired state does. One cheap query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT vpn_fingerprint(%s)", [server_id])
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def desired_state(server: Server) -> Desired:
    """Return what the node should hold: the live, carried devices of every brand.

    The fingerprint is read first, so a change in between makes the agent ask once more, never miss.
    """
    with everyone(f"vpn: desired state of {server.name}"):
        version = fingerprint(server.pk)
        peers = [_wanted(peer) for peer in _peers(server)] if server.enabled else []
    return {"version": version, "interface": _interface(server), "peers": peers}


def _peers(server: Server) -> Any:
    leases = AddressLease.objects.filter(server=server, released_at=None).order_by("id")
    return (
        Peer.objects.filter(
            server=server,
            retired_at=None,
            device__revoked_at=None,
            device__suspended_at=None,
        )
        .select_related("device")
        .prefetch_related(Prefetch("device__leases", queryset=leases))
        .order_by("id")
    )


def _wanted(peer: Peer) -> WantedPeer:
    held = [ipaddress.ip_address(lease.address) for lease in peer.device.leases.all()]
    return {
        "public_key": peer.public_key,
        "preshared_key": peer.preshared_key.reveal(),
        "allowed_ips": [f"{address}/{address.max_prefixlen}" for address in held],
    }


def _interface(server: Server) -> dict[str, Any]:
    networks = [ipaddress.ip_network(n) for n in (server.network, server.network6) if n]
    return {
        "listen_port": server.endpoint_port,
        "addresses": [f"{network[1]}/{network.prefixlen}" for network in networks],
    }
