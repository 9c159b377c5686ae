"""A tunnel that exists in memory: for tests and for the simulated node."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import replace

from vpn.agent.driver import Actual, Interface, Wanted


class MemoryDriver:
    """Keeps peers and counters as WireGuard does: a removed peer's counters are gone."""

    def __init__(self) -> None:
        self.peers: dict[str, Actual] = {}
        self.private_key = ""
        self.interface: Interface | None = None
        self._life = uuid.uuid4().hex

    def life(self) -> str:
        return self._life

    def configure(self, private_key: str, interface: Interface) -> None:
        self.private_key, self.interface = private_key, interface

    def read(self) -> dict[str, Actual]:
        return dict(self.peers)

    def put(self, peers: Collection[Wanted]) -> None:
        for wanted in peers:
            before = self.peers.get(wanted.public_key, Actual(wanted, 0, 0, 0))
            self.peers[wanted.public_key] = replace(before, wanted=wanted)

    def remove(self, public_keys: Collection[str]) -> None:
        for key in public_keys:
            self.peers.pop(key, None)

    def move(self, public_key: str, *, received: int, sent: int, at: int) -> None:
        """Pretend that a device used the tunnel."""
        peer = self.peers[public_key]
        self.peers[public_key] = replace(
            peer, received=peer.received + received, sent=peer.sent + sent, last_handshake=at
        )

    def restart(self) -> None:
        """Pretend that the machine restarted: no peers, and a new life of the counters."""
        self.peers.clear()
        self._life = uuid.uuid4().hex
