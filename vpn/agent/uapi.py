"""WireGuard through its cross-platform interface: a unix socket, keys in hex, no command line.

wireguard-go and other userspace implementations serve it at /var/run/wireguard/IFACE.sock; its
words are at https://www.wireguard.com/xplatform/. The interface's addresses and routes are the
system's business (systemd-networkd or the unit that starts the tunnel), not this protocol's.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterator
from pathlib import Path

from vpn.agent import x25519
from vpn.agent.driver import Actual, DriverError, Interface, Wanted

FOLDER = Path("/var/run/wireguard")
INTERFACE = re.compile(r"[a-zA-Z0-9_=+.-]{1,15}")
TIMEOUT = 5.0
Lines = list[tuple[str, str]]


class UapiDriver:
    """Drives one interface. Values come checked and typed; none is ever text of a customer."""

    def __init__(self, interface: str, folder: Path = FOLDER) -> None:
        if not INTERFACE.fullmatch(interface):
            raise ValueError("not the name of an interface")
        self._path = folder / f"{interface}.sock"
        self._configured: tuple[str, int] | None = None

    def life(self) -> str:
        """A restarted tunnel makes a new socket."""
        try:
            made = self._path.stat()
        except OSError as e:
            raise DriverError(f"no tunnel at {self._path}: {e.strerror}") from e
        return f"{made.st_ino}-{made.st_ctime_ns}"

    def configure(self, private_key: str, interface: Interface) -> None:
        wanted = (self.life(), interface.listen_port)
        if wanted == self._configured:
            return
        port = str(interface.listen_port)
        self._set([("private_key", _hex(private_key)), ("listen_port", port)])
        self._configured = wanted

    def read(self) -> dict[str, Actual]:
        peers = {}
        for lines in _by_peer(self._ask("get=1\n\n")):
            values = dict(lines)
            key = _base64(values["public_key"])
            peers[key] = Actual(
                wanted=Wanted(
                    public_key=key,
                    preshared_key=_base64(values.get("preshared_key", "0" * 64)),
                    allowed_ips=tuple(sorted(v for name, v in lines if name == "allowed_ip")),
                ),
                received=int(values.get("rx_bytes", 0)),
                sent=int(values.get("tx_bytes", 0)),
                last_handshake=int(values.get("last_handshake_time_sec", 0)),
            )
        return peers

    def put(self, peers: Collection[Wanted]) -> None:
        lines: Lines = []
        for peer in peers:
            lines += [
                ("public_key", _hex(peer.public_key)),
                ("preshared_key", _hex(peer.preshared_key)),
                ("replace_allowed_ips", "true"),
                *(("allowed_ip", address) for address in peer.allowed_ips),
            ]
        self._set(lines)

    def remove(self, public_keys: Collection[str]) -> None:
        lines: Lines = []
        for key in public_keys:
            lines += [("public_key", _hex(key)), ("update_only", "true"), ("remove", "true")]
        self._set(lines)

    def _set(self, lines: Lines) -> None:
        if lines:
            self._ask("set=1\n" + "".join(f"{name}={value}\n" for name, value in lines) + "\n")

    def _ask(self, request: str) -> Lines:
        """Send a request and return the answer's lines; raise DriverError unless errno=0."""
        try:
            answer = self._exchange(request.encode())
        except OSError as e:
            raise DriverError(f"the tunnel at {self._path}: {e}") from e
        lines = [
            (name, value)
            for name, _, value in (line.partition("=") for line in answer.decode().splitlines())
            if name
        ]
        if not lines or lines[-1] != ("errno", "0"):
            raise DriverError(f"the tunnel answered {lines[-1:]}")
        return lines[:-1]

    def _exchange(self, request: bytes) -> bytes:
        answer = bytearray()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(TIMEOUT)
            link.connect(str(self._path))
            link.sendall(request)
            while not answer.endswith(b"\n\n"):
                part = link.recv(65536)
                if not part:
                    break
                answer += part
        return bytes(answer)


def _by_peer(lines: Lines) -> Iterator[Lines]:
    """Split at every `public_key`; what comes before the first is the interface's own."""
    peer: Lines | None = None
    for name, value in lines:
        if name == "public_key":
            if peer:
                yield peer
            peer = []
        if peer is not None:
            peer.append((name, value))
    if peer:
        yield peer


def _hex(key: str) -> str:
    return x25519.decode(key).hex()


def _base64(key: str) -> str:
    try:
        return x25519.encode(bytes.fromhex(key))
    except ValueError as e:
        raise DriverError("the tunnel told a key that is none") from e
