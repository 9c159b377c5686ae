"""VPN devices of the demo."""

from __future__ import annotations

import uuid

from django.conf import settings

from accounts.models import Brand, User
from vpn import devices, servers
from vpn.agent import state as agent_state
from vpn.agent import x25519
from vpn.models import Server


def make(brand: Brand, owner: User) -> None:
    """Give the brand two devices on the demo's server; the simulated node moves their counters."""
    state = settings.VAR / "node"
    server = servers.ensure_demo_server(state)
    # What the node itself will report when it is up; without a key no device can be configured.
    key = x25519.public_of(agent_state.private_key(state))
    Server.objects.filter(pk=server.pk).update(public_key=key)
    for name in ("ada-laptop", "ada-phone"):
        devices.create(
            brand_id=brand.pk,
            owner=owner,
            server_id=server.pk,
            name=name,
            actor=owner,
            request_key=uuid.uuid4(),
        )
