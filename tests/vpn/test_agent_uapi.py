"""The UAPI driver against a socket that speaks WireGuard's cross-platform protocol."""

from __future__ import annotations

import base64
import socketserver
import threading
from pathlib import Path

import pytest

from vpn.agent.driver import DriverError, Interface, Wanted
from vpn.agent.uapi import UapiDriver

KEY_A, KEY_B, SHARED = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
HEX_A, HEX_B, HEX_SHARED = ("01" * 32, "02" * 32, "03" * 32)
PEER_A = Wanted(KEY_A, SHARED, ("10.89.0.2/32", "fd89::2/128"))


class Tunnel:
    """Records requests; answers `get` with `state` and `set` with `errno`."""

    def __init__(self, path: Path) -> None:
        self.requests: list[str] = []
        self.state, self.errno = "private_key=00\nlisten_port=51820\n", 0
        tunnel = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                request = b""
                while not request.endswith(b"\n\n"):
                    request += self.rfile.readline()
                tunnel.requests.append(request.decode())
                body = tunnel.state if request.startswith(b"get") else ""
                self.wfile.write(f"{body}errno={tunnel.errno}\n\n".encode())

        self.server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def tunnel(tmp_path):
    running = Tunnel(tmp_path / "wg0.sock")
    yield running
    running.stop()


@pytest.fixture
def driver(tunnel, tmp_path):
    return UapiDriver("wg0", tmp_path)


def test_peers_are_set_in_hex_without_touching_what_they_counted(driver, tunnel):
    driver.put([PEER_A])
    assert tunnel.requests == [
        (
            f"set=1\npublic_key={HEX_A}\npreshared_key={HEX_SHARED}\nreplace_allowed_ips=true\n"
            "allowed_ip=10.89.0.2/32\nallowed_ip=fd89::2/128\n\n"
        )
    ]


def test_removing_names_the_keys_alone(driver, tunnel):
    driver.remove([KEY_A, KEY_B])
    assert tunnel.requests == [
        (
            f"set=1\npublic_key={HEX_A}\nupdate_only=true\nremove=true\n"
            f"public_key={HEX_B}\nupdate_only=true\nremove=true\n\n"
        )
    ]


def test_nothing_to_do_says_nothing(driver, tunnel):
    driver.put([])
    driver.remove([])
    assert tunnel.requests == []


def test_the_own_key_and_port_are_set_once_in_a_life_of_the_tunnel(driver, tunnel):
    for _ in range(2):
        driver.configure(KEY_B, Interface(51821, ("10.89.0.1/24",)))
    assert tunnel.requests == [f"set=1\nprivate_key={HEX_B}\nlisten_port=51821\n\n"]


def test_what_stands_in_the_tunnel_is_read(driver, tunnel):
    tunnel.state += (
        f"public_key={HEX_A}\npreshared_key={HEX_SHARED}\nprotocol_version=1\n"
        "endpoint=192.0.2.7:4711\nlast_handshake_time_sec=1700000000\n"
        "last_handshake_time_nsec=5\ntx_bytes=700\nrx_bytes=30\n"
        "persistent_keepalive_interval=0\nallowed_ip=fd89::2/128\nallowed_ip=10.89.0.2/32\n"
        f"public_key={HEX_B}\npreshared_key={'0' * 64}\n"
    )
    actual = driver.read()
    assert actual[KEY_A].wanted == PEER_A
    assert (actual[KEY_A].received, actual[KEY_A].sent) == (30, 700)
    assert actual[KEY_A].last_handshake == 1_700_000_000
    assert (actual[KEY_B].received, actual[KEY_B].last_handshake) == (0, 0)


def test_an_error_of_the_tunnel_is_one_of_ours(driver, tunnel):
    tunnel.errno = -22
    with pytest.raises(DriverError):
        driver.read()


def test_no_tunnel_is_an_error_and_another_tunnel_another_life(driver, tunnel, tmp_path):
    life = driver.life()
    assert driver.life() == life
    tunnel.stop()
    (tmp_path / "wg0.sock").unlink()
    for call in (driver.life, driver.read):
        with pytest.raises(DriverError):
            call()
    again = Tunnel(tmp_path / "wg0.sock")
    assert driver.life() != life
    again.stop()


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a" * 16, "a b", "wg0\n"])
def test_an_interface_is_a_name_and_no_path(name):
    with pytest.raises(ValueError, match="interface"):
        UapiDriver(name)
