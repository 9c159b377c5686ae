"""Runs the sandbox in one asyncio process: HTTP and SMTP on loopback, stopped cleanly by SIGTERM or
Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Generator
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.app import Addresses, create_app
from sandbox.control import read_json, write_json
from sandbox.mail import Store, listen

HOST = "127.0.0.1"
_GRACE = 1  # seconds that answers under way get at a stop


class _Protocol(HttpToolsProtocol):
    """Hands the connection to the app, which some faults tear down."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["sandbox.transport"] = self.transport  # type: ignore[typeddict-unknown-key]


class _Server(uvicorn.Server):
    """Signals are handled here: a stop is a success and leaves with code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True


def bound(port: int) -> socket.socket:
    """A listening socket on loopback; port 0 takes a free one. OSError when the port is in use."""
    # With the protocol named, or asyncio leaves Nagle's algorithm on: 40 ms an answer.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
    except OSError:
        sock.close()
        raise
    sock.listen(512)
    return sock


def run(*, port: int, smtp_port: int, state: Path, app_url: str, contract: Path | None) -> None:
    """Serves until a signal. `state`/ports.json appears once both ports answer, and names them."""
    state.mkdir(parents=True, exist_ok=True)
    web, smtp = bound(port), bound(smtp_port)
    addresses = Addresses(f"http://{HOST}:{web.getsockname()[1]}", smtp.getsockname()[1], app_url)
    asyncio.run(_serve(web, smtp, state, addresses, contract))


async def _serve(
    web: socket.socket,
    smtp: socket.socket,
    state: Path,
    addresses: Addresses,
    contract: Path | None,
) -> None:
    store = Store(state / "mail")
    app = create_app(state, addresses, store, contract=contract)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        access_log=False,  # query strings hold API keys
        log_level="warning",
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=30,
        server_header=False,
    )
    server = _Server(config)
    receiver = await listen(store, smtp)
    announcing = asyncio.create_task(_announce(server, state / "ports.json", addresses))
    try:
        await server.serve(sockets=[web])
    finally:
        announcing.cancel()
        receiver.close()
        _withdraw(state / "ports.json")


def _withdraw(path: Path) -> None:
    """Takes ports.json away, unless a successor on the same state has already written its own."""
    if read_json(path).get("pid") == os.getpid():
        path.unlink(missing_ok=True)


async def _announce(server: uvicorn.Server, path: Path, addresses: Addresses) -> None:
    while not server.started:
        await asyncio.sleep(0.01)
    http = int(addresses.base_url.rpartition(":")[2])
    write_json(
        path,
        {"pid": os.getpid(), "http": http, "smtp": addresses.smtp_port, "url": addresses.base_url},
    )
    print(f"Sandbox at {addresses.base_url}/ · SMTP on {HOST}:{addresses.smtp_port}", flush=True)
