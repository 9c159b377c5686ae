"""A place for the sandbox's webhooks to arrive, so that a test can deliver them as it likes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """Bodies and headers in the order in which they came."""

    url: str
    mails: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)

    def wait(self, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
        """Return the first `count` events, once they are here."""
        until = time.monotonic() + seconds
        while len(self.mails) < count and time.monotonic() < until:
            time.sleep(0.02)
        assert len(self.mails) >= count, f"{len(self.mails)} of {count} arrived"
        return [json.loads(body) for body, _ in self.mails[:count]]


@contextmanager
def receiver() -> Iterator[Received]:
    received = Received("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.mails.append((body, dict(self.headers)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
