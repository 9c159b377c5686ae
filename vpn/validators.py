"""What may be written where: device names, networks, end points, WireGuard keys.

Everything here is an allow-list. Names are words for people; nothing is ever built from them but
HTML (escaped) and a file name (`vpn.config.file_name`).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import unicodedata

from django.core.exceptions import ValidationError

NAME_LENGTH = 40
NAME_MARKS = frozenset(" ._-'()")
HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)
LARGEST_NETWORK = 16  # a /16 is 65,534 devices; an allocation reads its live leases
KEY_BYTES = 32
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def device_name(text: str) -> str:
    """Return `text` trimmed and composed (NFC); raise ValidationError unless every character is
    a letter, a digit, a space or one of . _ - ' ( ), with a letter or digit first."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise ValidationError("Give the device a name.", code="required")
    if len(name) > NAME_LENGTH:
        raise ValidationError(f"Use at most {NAME_LENGTH} characters.", code="too_long")
    if not name[0].isalnum() or not all(_may_stand_in_name(c) for c in name):
        raise ValidationError(
            "Use letters, digits, spaces and . _ - ' ( ), beginning with a letter or digit.",
            code="characters",
        )
    return name


def _may_stand_in_name(char: str) -> bool:
    return char in NAME_MARKS or char.isalnum() or unicodedata.category(char) in ("Mn", "Mc")


def wireguard_key(text: str) -> None:
    """Raise ValidationError unless `text` is base64 of 32 bytes, spelt the one canonical way."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as e:
        raise ValidationError("This is not a WireGuard key.") from e
    if len(raw) != KEY_BYTES or base64.b64encode(raw).decode() != text:
        raise ValidationError("This is not a WireGuard key.")


def ipv4_network(text: str) -> None:
    """Raise ValidationError unless `text` is an IPv4 network with room, like 10.89.0.0/24."""
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as e:
        raise ValidationError(f"This is not an IPv4 network: {e}.") from e
    if not LARGEST_NETWORK <= network.prefixlen <= 29:
        raise ValidationError("Use a network between /16 and /29.")


def ipv6_network(text: str) -> None:
    """Raise ValidationError unless `text` is an IPv6 network like fd89::/64."""
    try:
        network = ipaddress.IPv6Network(text)
    except ValueError as e:
        raise ValidationError(f"This is not an IPv6 network: {e}.") from e
    if network.prefixlen > 112:
        raise ValidationError("Use a network of /112 or larger.")


def host(text: str) -> None:
    """Raise ValidationError unless `text` is a host name in lower case or an address."""
    if HOST.fullmatch(text):
        return
    address(text)


def address(text: str) -> None:
    """Raise ValidationError unless `text` is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError as e:
        raise ValidationError("This is neither a host name nor an address.") from e


def addresses(text: str) -> None:
    """Raise ValidationError unless `text` is a list of addresses, parted by commas."""
    for part in text.split(","):
        address(part.strip())
