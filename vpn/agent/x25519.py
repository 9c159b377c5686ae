"""The public half of a Curve25519 key (RFC 7748), and WireGuard's spelling of keys.

In Python, since the node has no other use for a library of cryptography: it runs once at start.
Not constant in time; the key's owner is the only one who could measure it.
"""

from __future__ import annotations

import base64
import binascii
import os

P = 2**255 - 19
A24 = 121665
BASE = 9
KEY_BYTES = 32


def new_private() -> str:
    """Make a private key: 32 random bytes, clamped, base64."""
    return encode(_clamp(os.urandom(KEY_BYTES)))


def public_of(private: str) -> str:
    """Return the public key of a private key, both base64."""
    scalar = int.from_bytes(_clamp(decode(private)), "little")
    return encode(_ladder(scalar, BASE).to_bytes(KEY_BYTES, "little"))


def encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def decode(text: str) -> bytes:
    """Return the 32 bytes of a key; raise ValueError for anything else."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as e:
        raise ValueError("not a key") from e
    if len(raw) != KEY_BYTES:
        raise ValueError("not a key")
    return raw


def _clamp(raw: bytes) -> bytes:
    return bytes([raw[0] & 248, *raw[1:31], raw[31] & 127 | 64])


def _ladder(scalar: int, u: int) -> int:
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = scalar >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a, c * b, a * a, b * b
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, (aa - bb) * (aa + A24 * (aa - bb)) % P
    if swap:
        x2, z2 = x3, z3
    return x2 * pow(z2, P - 2, P) % P
