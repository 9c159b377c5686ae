"""The address of the person, right behind any number of declared proxies.

While the peer is a trusted proxy, one entry is popped from the RIGHT of X-Forwarded-For: the left
part is whatever the client wrote. The header is deleted afterwards, since libraries trust its left
end. X-Forwarded-Proto and -Host count only from a trusted peer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

FORWARDED = ("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT")


@lru_cache(maxsize=4)
def _networks(declared: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(item) for item in declared if item != "none")


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_trusted(address: str) -> bool:
    """Tell whether `address` is inside TRUSTED_PROXIES. Not an address: no."""
    networks = _networks(tuple(settings.TRUSTED_PROXIES))
    return is_address(address) and any(ip_address(address) in network for network in networks)


class TrustedProxies:
    """First middleware: puts the client's address into REMOTE_ADDR and drops forged headers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        meta = request.META
        hops = [hop.strip() for hop in meta.pop("HTTP_X_FORWARDED_FOR", "").split(",")]
        if not is_trusted(meta.get("REMOTE_ADDR", "")):
            for name in FORWARDED:
                meta.pop(name, None)
        while hops and is_address(hops[-1]) and is_trusted(meta.get("REMOTE_ADDR", "")):
            meta["REMOTE_ADDR"] = hops.pop()
        return self.get_response(request)
