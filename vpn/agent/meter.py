"""Epochs: which unbroken life of the counters a reading belongs to.

Harbor takes the highest counter of every epoch, so the rule here is: never give one byte to two
epochs. When in doubt (a lost state file), what stands on the counter is taken as counted before.

A peer's epoch begins when the agent adds it; it ends when the agent removes it, when the tunnel
began a new life, or when a counter stands lower than before. The state is saved before a peer is
added and after it is removed, so a crash in between leaves nothing counted twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from vpn.agent.driver import Actual

KEPT_ENDED = 1000


@dataclass
class Epoch:
    """A life of a peer's counters. `base_*` is what stood on them when it began."""

    id: str
    base_received: int = 0
    base_sent: int = 0
    received: int = 0
    sent: int = 0
    last_handshake: int = 0

    def reading(self, public_key: str, *, present: bool) -> dict[str, Any]:
        """Spell the epoch as the API takes it."""
        return {
            "public_key": public_key,
            "epoch": self.id,
            "received": self.received - self.base_received,
            "sent": self.sent - self.base_sent,
            "last_handshake": self.last_handshake,
            "present": present,
        }


@dataclass
class Meter:
    """The agent's memory of counters; `to_json` and `from_json` carry it over restarts."""

    life: str = ""
    sample: int = 0
    running: dict[str, Epoch] = field(default_factory=dict)
    ended: list[tuple[str, Epoch]] = field(default_factory=list)  # until a report took them

    def see(self, life: str, actual: Mapping[str, Actual]) -> None:
        """Take in what the driver reads now."""
        if self.life and life != self.life:
            for key in list(self.running):
                self._end(key)
            # Of a life that we saw from its beginning, all bytes are new.
            for key in actual:
                self.running[key] = _new_epoch()
        self.life = life
        for key in [key for key in self.running if key not in actual]:
            self._end(key)
        for key, peer in actual.items():
            self._see_peer(key, peer)

    def begin(self, public_keys: Iterable[str]) -> None:
        """Note peers that are about to be added: their counters will begin at zero."""
        for key in public_keys:
            if key in self.running:
                self._end(key)
            self.running[key] = _new_epoch()

    def readings(self) -> list[dict[str, Any]]:
        """Return everything to report: running epochs, and ended ones not yet reported."""
        return [e.reading(key, present=False) for key, e in self.ended] + [
            e.reading(key, present=True) for key, e in self.running.items()
        ]

    def reported(self, count_ended: int) -> None:
        """Forget the first `count_ended` ended epochs: a report took them."""
        del self.ended[:count_ended]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Meter:
        """Rebuild from `to_json`; raise KeyError, TypeError or ValueError for anything else."""
        return cls(
            life=str(data["life"]),
            sample=int(data["sample"]),
            running={str(key): Epoch(**epoch) for key, epoch in data["running"].items()},
            ended=[(str(key), Epoch(**epoch)) for key, epoch in data["ended"]],
        )

    def _see_peer(self, key: str, peer: Actual) -> None:
        epoch = self.running.get(key)
        if epoch is None:
            # Not ours, or ours and forgotten: what stands there may have been counted.
            base = (peer.received, peer.sent)
            epoch = self.running[key] = Epoch(uuid.uuid4().hex, *base, *base)
        elif peer.received < epoch.received or peer.sent < epoch.sent:
            self._end(key)
            epoch = self.running[key] = _new_epoch()
        epoch.received, epoch.sent = peer.received, peer.sent
        epoch.last_handshake = peer.last_handshake

    def _end(self, key: str) -> None:
        self.ended.append((key, self.running.pop(key)))
        del self.ended[:-KEPT_ENDED]


def _new_epoch() -> Epoch:
    return Epoch(uuid.uuid4().hex)
