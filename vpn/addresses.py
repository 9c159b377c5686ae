"""Addresses of a server's networks, leased to devices.

The database holds the rule (`vpn_one_live_lease_per_address`). The lock on the server's row makes
allocations on it serial, so that two of them don't choose the same address and one fail.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime

from saas.errors import Refused
from vpn.models import AddressLease, Device, Server

FIRST_HOST = 2  # .1 is the server itself


def lock(server_id: int) -> Server:
    """Lock the server's row until the commit (FOR NO KEY UPDATE) and return it fresh.

    Locks come in the order brand, server. Raises Refused when the server takes no devices.
    """
    server = Server.objects.select_for_update(no_key=True).filter(pk=server_id).first()
    if server is None or not server.enabled:
        raise Refused("server_unknown", "This location is not available. Choose another one.")
    if not server.public_key:
        raise Refused(
            "server_not_ready",
            "This location is still being set up. Choose another one, or try again in a minute.",
        )
    return server


def lease(device: Device, server: Server) -> list[AddressLease]:
    """Lease the lowest free addresses of the server to the device: IPv4, and IPv6 if it has one.

    Call with the server locked, in the device's scope or not: every brand's leases count. Raises
    Refused when the network is full.
    """
    number = _lowest_free(server)
    addresses = [_address(server.network, number)]
    if server.network6:
        addresses.append(_address(server.network6, number))
    return AddressLease.objects.bulk_create(
        AddressLease(brand_id=device.brand_id, server=server, device=device, address=address)
        for address in addresses
    )


def release(device: Device, now: datetime) -> None:
    """Give back the device's addresses. Safe to repeat."""
    AddressLease.objects.filter(device=device, released_at=None).update(released_at=now)


def _address(network: str, number: int) -> str:
    return str(ipaddress.ip_network(network)[number])


def _lowest_free(server: Server) -> int:
    """Return the lowest host number that no live lease of any brand holds."""
    network = ipaddress.IPv4Network(server.network)
    taken = set(_taken(server.pk))
    for number in range(FIRST_HOST, network.num_addresses - 1):
        if str(network[number]) not in taken:
            return number
    raise Refused("server_full", "This location is full. Choose another one.")


def _taken(server_id: int) -> list[str]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT vpn_taken_addresses(%s)", [server_id])
        return [str(row[0]) for row in cursor.fetchall()]
