"""What the agent asks of a tunnel implementation, and the words they share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol


class DriverError(Exception):
    """The tunnel didn't do what it was told; the agent tries again."""


@dataclass(frozen=True)
class Wanted:
    """A peer as it should be. Keys are base64; addresses are sorted, like 10.89.0.2/32."""

    public_key: str
    preshared_key: str = field(repr=False)
    allowed_ips: tuple[str, ...]


@dataclass(frozen=True)
class Interface:
    """The node's own end: where it listens and its addresses, like 10.89.0.1/16."""

    listen_port: int
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Actual:
    """A peer as it is. Counters are bytes since the peer was added; 0 means no handshake yet."""

    wanted: Wanted
    received: int
    sent: int
    last_handshake: int


class Driver(Protocol):
    """A tunnel. Every method raises DriverError, and is safe to repeat."""

    def life(self) -> str:
        """Name the current life of the counters: another name means that all began at zero."""
        ...

    def configure(self, private_key: str, interface: Interface) -> None:
        """Set the node's own key, port and addresses."""
        ...

    def read(self) -> dict[str, Actual]:
        """Return the peers by public key."""
        ...

    def put(self, peers: Collection[Wanted]) -> None:
        """Add peers, or change them without touching their counters."""
        ...

    def remove(self, public_keys: Collection[str]) -> None:
        """Cut peers off; unknown ones are none of its business."""
        ...
