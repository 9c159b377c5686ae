"""WireGuard keys. The private half is made here, handed to one response, and forgotten."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey


@dataclass(frozen=True)
class KeyPair:
    """A Curve25519 pair in WireGuard's spelling (base64). The repr shows the public half alone."""

    public: str
    private: str = field(repr=False)


def new_pair() -> KeyPair:
    """Make a pair from the operating system's randomness."""
    private = X25519PrivateKey.generate()
    return KeyPair(
        public=_base64(private.public_key().public_bytes_raw()),
        private=_base64(private.private_bytes_raw()),
    )


def new_preshared() -> str:
    """Make a preshared key: 32 random bytes, base64."""
    return _base64(os.urandom(32))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
