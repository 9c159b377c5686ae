"""Words of the tests of vpn."""

from __future__ import annotations

import base64
import itertools
import uuid
from typing import Any

_numbers = itertools.count(1)
NODE_KEY = base64.b64encode(b"n" * 32).decode()
EPOCH = "00000000-0000-4000-8000-000000000001"


def make_server(**fields: Any) -> tuple[Any, str]:
    """A registered server whose node told its key already, and the agent's token."""
    from vpn import servers

    number = next(_numbers)
    values = {
        "name": f"node-{number}",
        "region": "Frankfurt",
        "endpoint_host": f"n{number}.vpn.example",
        "network": f"10.{100 + number % 100}.0.0/24",
        "public_key": NODE_KEY,
    }
    return servers.register(actor=None, **(values | fields))


def add_device(brand: Any, owner: Any, server: Any, name: str = "Laptop") -> Any:
    """Add a device of the owner's, as the form does; return it with its keys."""
    from vpn import devices

    return devices.create(
        brand_id=brand.pk,
        owner=owner,
        actor=owner,
        server_id=server.pk,
        name=name,
        request_key=uuid.uuid4(),
    )


def live_key(device: Any) -> int:
    """The id of the device's key in use."""
    from saas.tenancy import scope
    from vpn.models import Peer

    with scope(device.brand_id):
        return int(Peer.objects.get(device=device, retired_at=None).pk)


def put_on_plan(brand: Any, plan: str, **fields: Any) -> None:
    """Set the brand's plan and standing in the database, as a payment would."""
    from billing.models import BillingAccount
    from saas.tenancy import scope

    with scope(brand):
        BillingAccount.objects.filter(brand=brand).update(
            **({"plan": plan, "standing": "active", "grace_until": None} | fields)
        )


def reading(key: str, received: int, sent: int, **fields: Any) -> dict[str, Any]:
    values = {"public_key": key, "epoch": EPOCH, "received": received, "sent": sent}
    return values | {"last_handshake": 0, "present": True} | fields


def report(*peers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    values = {"agent": "1", "public_key": NODE_KEY, "applied": "", "sample": 1, "error": ""}
    return values | {"peers": list(peers)} | fields


BOOKS = """
SELECT coalesce(sum(received), 0), coalesce(sum(sent), 0) FROM vpn_deviceusage
WHERE device_id = %(device)s
UNION ALL
SELECT coalesce(sum(received), 0), coalesce(sum(sent), 0) FROM vpn_usagesample
WHERE device_id = %(device)s
UNION ALL
SELECT coalesce(sum(received), 0), coalesce(sum(sent), 0) FROM vpn_counter
WHERE peer_id IN (SELECT id FROM vpn_peer WHERE device_id = %(device)s)"""


def usage_of(device: Any) -> tuple[int, int]:
    """The device's (received, sent) bytes, after checking that the three books agree.

    One statement, hence one snapshot: a report that is committed meanwhile is in all or in none.
    """
    from django.db import connection

    from saas.tenancy import scope

    with scope(device.brand_id), connection.cursor() as cursor:
        cursor.execute(BOOKS, {"device": device.pk})
        books = [(int(received), int(sent)) for received, sent in cursor.fetchall()]
    assert books == [books[0]] * 3
    return books[0]
