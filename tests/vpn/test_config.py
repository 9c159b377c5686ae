"""The customer's configuration: exact text, safe file name, a QR code that says the same."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from vpn.config import Configuration, file_name, qr_svg, render
from vpn.devices import Fresh
from vpn.keys import KeyPair
from vpn.models import Device, Server, status_of
from vpn.templatetags.vpn import STATES, data_size


def fresh(**server):
    values = {
        "public_key": "SERVERKEY=",
        "endpoint_host": "fra1.vpn.example",
        "endpoint_port": 51820,
        "network": "10.89.0.0/16",
        "network6": "fd89::/64",
        "dns": "10.89.0.1, 9.9.9.9",
    }
    return Fresh(
        device=SimpleNamespace(name="Zoë's iPhone (work)"),  # type: ignore[arg-type]
        server=Server(**(values | server)),
        addresses=("10.89.0.2", "fd89::2") if server.get("network6", "x") else ("10.89.0.2",),
        pair=KeyPair(public="PUB=", private="PRIV="),
        preshared="PSK=",
    )


def test_the_configuration_of_both_families():
    assert render(fresh()) == (
        "[Interface]\n"
        "PrivateKey = PRIV=\n"
        "Address = 10.89.0.2/32, fd89::2/128\n"
        "DNS = 10.89.0.1, 9.9.9.9\n"
        "\n"
        "[Peer]\n"
        "PublicKey = SERVERKEY=\n"
        "PresharedKey = PSK=\n"
        "AllowedIPs = 0.0.0.0/0, ::/0\n"
        "Endpoint = fra1.vpn.example:51820\n"
        "PersistentKeepalive = 25\n"
    )


def test_the_configuration_of_ipv4_alone_without_dns():
    assert render(fresh(network6="", dns="", endpoint_host="2001:db8::1")) == (
        "[Interface]\n"
        "PrivateKey = PRIV=\n"
        "Address = 10.89.0.2/32\n"
        "\n"
        "[Peer]\n"
        "PublicKey = SERVERKEY=\n"
        "PresharedKey = PSK=\n"
        "AllowedIPs = 0.0.0.0/0\n"
        "Endpoint = [2001:db8::1]:51820\n"
        "PersistentKeepalive = 25\n"
    )


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Zoë's iPhone (work)", "zoes-iphone-wor.conf"),
        ("ノート", "harbor.conf"),
        ("a.b", "ab.conf"),
        ("../../etc/passwd", "etcpasswd.conf"),
        ("a\nPostUp = x", "a-postup-x.conf"),
        ("abcdefghijklmn opq", "abcdefghijklmn.conf"),
    ],
)
def test_a_file_name_is_a_tunnel_name_that_every_client_takes(name, file):
    assert file_name(name) == file


def test_no_name_gets_into_the_text():
    one = fresh()
    one.device.name = "a\nPostUp = reboot"
    assert render(one) == render(fresh())


def test_a_configuration_shows_itself_to_str_alone():
    config = Configuration(fresh())
    assert "PRIV=" in str(config)
    assert "PRIV" not in repr(config)
    assert "PRIV" not in f"{ {'config': config} }"
    encoded = config.download.rpartition(",")[2]
    assert base64.b64decode(encoded).decode() == str(config)


def test_the_qr_code_is_clean_under_the_strict_csp():
    svg = qr_svg("[Interface]\n")
    assert svg.startswith("<svg ")
    assert "style" not in svg
    assert "<script" not in svg


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"),
        (38_200_000_000, "38.2 GB"), (5 * 10**18, "5000 PB"), (None, "0 B"),
    ],
)  # fmt: skip
def test_data_in_words(count, words):
    assert data_size(count).replace("\u202f", " ") == words


def test_every_status_has_words():
    now = datetime(2027, 1, 1, tzinfo=UTC)
    seen = {
        status_of(Device(), last_handshake=None, now=now),
        status_of(Device(), last_handshake=now, now=now),
        status_of(Device(), last_handshake=now.replace(year=2020), now=now),
        status_of(Device(suspended_at=now), last_handshake=now, now=now),
        status_of(Device(suspended_at=now, revoked_at=now), last_handshake=now, now=now),
    }
    assert seen == set(STATES)
