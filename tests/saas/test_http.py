"""The outbound client against servers that misbehave."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator

import pytest

from saas.errors import Retryable
from saas.http import Client


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/drip"):
            self.send_response(200)
            self.end_headers()
            for _ in range(200):
                self.wfile.write(b"x")
                self.wfile.flush()
                threading.Event().wait(0.1)
            return
        if self.path.startswith("/hang-up"):
            self.connection.close()
            return
        body = (
            b"y" * 5000 if self.path.startswith("/large") else self.headers["User-Agent"].encode()
        )
        self.send_response(302 if self.path.startswith("/moved") else 200)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_it_names_itself_and_follows_no_redirect(server: str) -> None:
    with Client("test", server) as client:
        assert client.get("/").body.startswith(b"Harbor/")
        assert client.get("/moved").status == 302


def test_a_dripping_answer_ends_at_the_deadline(server: str) -> None:
    began = time.monotonic()
    with Client("test", server, deadline=0.3) as client, pytest.raises(Retryable, match="too long"):
        client.get("/drip")
    assert time.monotonic() - began < 15


def test_an_answer_over_the_cap_is_refused(server: str) -> None:
    with Client("test", server, max_bytes=1000) as client, pytest.raises(Retryable, match="large"):
        client.get("/large")


@pytest.mark.parametrize("path", ["/hang-up", "/refused"])
def test_transport_faults_are_retryable_and_do_not_tell_the_url(
    server: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    base = server if path == "/hang-up" else "http://127.0.0.1:1"
    with Client("test", base) as client, pytest.raises(Retryable) as fault:
        client.get(path, params={"api_key": "very-secret"})
    assert fault.value.service == "test"
    assert "very-secret" not in f"{fault.value!r}{fault.value.__cause__!r}{caplog.text}"
