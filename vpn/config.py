"""The customer's WireGuard configuration: text, file name, QR code. Made once, never stored.

Everything in it is a key, a number or an address that was checked before it got into the database;
of the device's name only a slug goes into the file's name, and nothing into the text.
"""

from __future__ import annotations

import base64
import ipaddress

import qrcode
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import slugify
from qrcode.constants import ERROR_CORRECT_M

from vpn.devices import Fresh

TUNNEL_NAME_LENGTH = 15  # WireGuard's clients refuse a longer name of a tunnel
QUIET = 4  # modules of white around a QR code, as its standard asks
KEEPALIVE = 25


class Configuration:
    """A configuration that a page shows. Its text comes out by `str()` alone, never by repr, so
    that no log and no error report holds it."""

    def __init__(self, fresh: Fresh) -> None:
        self._text = render(fresh)
        self.file_name = file_name(fresh.device.name)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "<configuration>"

    @property
    def download(self) -> str:
        """A data URI: the file is on the page itself, since nothing is kept to fetch it from."""
        encoded = base64.b64encode(self._text.encode()).decode()
        return f"data:application/octet-stream;base64,{encoded}"

    @property
    def qr(self) -> SafeString:
        return qr_svg(self._text)


def render(fresh: Fresh) -> str:
    """Return the configuration in the format of wg-quick and of WireGuard's apps."""
    server = fresh.server
    own = ", ".join(f"{a}/{ipaddress.ip_address(a).max_prefixlen}" for a in fresh.addresses)
    dns = ", ".join(part.strip() for part in server.dns.split(",") if part.strip())
    lines = [
        "[Interface]",
        f"PrivateKey = {fresh.pair.private}",
        f"Address = {own}",
        *([f"DNS = {dns}"] if dns else []),
        "",
        "[Peer]",
        f"PublicKey = {server.public_key}",
        f"PresharedKey = {fresh.preshared}",
        f"AllowedIPs = {'0.0.0.0/0, ::/0' if server.network6 else '0.0.0.0/0'}",
        f"Endpoint = {_end_point(server.endpoint_host, server.endpoint_port)}",
        f"PersistentKeepalive = {KEEPALIVE}",
    ]
    return "\n".join(lines) + "\n"


def file_name(device_name: str) -> str:
    """Return a file name that every WireGuard client takes as the tunnel's name.

    >>> file_name("Zoë's iPhone (work)")
    'zoes-iphone-wor.conf'
    """
    slug = slugify(device_name)[:TUNNEL_NAME_LENGTH].strip("-_")
    return f"{slug or 'harbor'}.conf"


def qr_svg(text: str) -> SafeString:
    """Return `text` as a QR code: one inline SVG without style, clean under the strict CSP."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=QUIET)
    code.add_data(text)
    matrix = code.get_matrix()
    path = "".join(
        f"M{x} {y}h1v1h-1z" for y, row in enumerate(matrix) for x, dark in enumerate(row) if dark
    )
    return format_html(
        '<svg class="qr big" viewBox="0 0 {size} {size}" role="img" shape-rendering="crispEdges" '
        'aria-label="QR code of the configuration">'
        '<path fill="#fff" d="M0 0h{size}v{size}H0z"/><path fill="#000" d="{path}"/></svg>',
        size=len(matrix),
        path=path,
    )


def _end_point(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
