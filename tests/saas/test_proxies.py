"""The client's address, right behind declared proxies and unforgeable without."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import override_settings

from saas.proxies import TrustedProxies


def address(peer: str, forwarded: str | None) -> str:
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_PROTO": "https"}
    if forwarded is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    TrustedProxies(lambda _: HttpResponse())(request)
    assert "HTTP_X_FORWARDED_FOR" not in request.META
    trusted_peer = peer.startswith("10.")
    assert ("HTTP_X_FORWARDED_PROTO" in request.META) is trusted_peer
    return str(request.META["REMOTE_ADDR"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "not an address", "10.0.0.1"),
    ],
)
@override_settings(TRUSTED_PROXIES=["10.0.0.0/8"])
def test_address(peer: str, forwarded: str | None, seen: str) -> None:
    assert address(peer, forwarded) == seen
