"""Words of the tests of vpn."""

from __future__ import annotations

import base64
import itertools
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


def usage_of(device: Any) -> tuple[int, int]:
    """The device's (received, sent) bytes, after checking that the three books agree.

    They are read by one statement, since a node may report meanwhile. A book without rows is empty.
    """
    from django.db.models import Sum

    from saas.tenancy import scope
    from vpn.models import Counter, DeviceUsage, UsageSample

    with scope(device.brand_id):
        usage, samples, counters = (
            rows.order_by()
            .values("brand_id")
            .annotate(r=Sum("received"), s=Sum("sent"))
            .values_list("r", "s")
            for rows in (
                DeviceUsage.objects.filter(device=device),
                UsageSample.objects.filter(device=device),
                Counter.objects.filter(peer__device=device),
            )
        )
        books = list(usage.union(samples, counters, all=True))
    [book] = {*books, *[(0, 0)] * (3 - len(books))}
    return int(book[0]), int(book[1])
