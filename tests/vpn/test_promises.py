"""What we say of the VPN is what devices can have: no other protocol is named anywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client

from billing import catalog
from saas.embedded.commands import BASE
from vpn.models import Protocol

NAMES = re.compile(r"wireguard|open ?vpn|\.ovpn|ipsec|ikev2|l2tp|pptp", re.IGNORECASE)
OFFERED = {str(protocol.label).lower() for protocol in Protocol}
TEXTS = (
    *(BASE / "templates").rglob("*.html"),
    *(BASE / "templates").rglob("*.txt"),
    *(BASE / "docs").rglob("*.md"),
    BASE / "README.md",
    Path(catalog.__file__),
)


def named(text: str) -> set[str]:
    return {found.lower() for found in NAMES.findall(text)}


def test_no_text_names_a_protocol_that_we_do_not_offer() -> None:
    found = {path.name: named(path.read_text()) - OFFERED for path in TEXTS}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/pricing/"])
def test_the_price_list_names_the_one_that_we_do(client: Client, path: str) -> None:
    assert named(client.get(path).content.decode()) == OFFERED == {"wireguard"}
