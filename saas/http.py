"""The one outbound HTTP client: time-outs, a deadline, a size cap, our own name, no leaks.

Query strings can be secrets (SmartLead's key stands there), so neither errors nor logs of this
module contain them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from saas.errors import Retryable
from saas.observability.metrics import OUTBOUND

USER_AGENT = "Harbor/1.0 (+https://harbor.example)"
MAX_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """A whole answer. `seconds` is how long the call took."""

    status: int
    headers: httpx.Headers
    body: bytes
    seconds: float


@dataclass(frozen=True)
class Stream:
    """An answer whose body is still coming. `chunks` raises Retryable when it breaks off."""

    status: int
    headers: httpx.Headers
    chunks: Iterator[bytes]


class Client:
    """A client of `service` at `base_url`. Threads may share one; close it when done.

    `timeout` seconds bound connecting and each read; `deadline` seconds bound the whole call, so a
    server that drips bytes can't hold a worker. Redirects are not followed.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        *,
        timeout: float = 30.0,
        deadline: float = 45.0,
        max_bytes: int = MAX_BYTES,
        headers: Mapping[str, str] | None = None,
        connections: int = 10,
    ) -> None:
        self.service = service
        self.deadline = deadline
        self.max_bytes = max_bytes
        self._client = httpx.Client(
            base_url=base_url,
            timeout=httpx.Timeout(timeout, connect=5.0, pool=deadline),
            headers={"User-Agent": USER_AGENT, **(headers or {})},
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            follow_redirects=False,
        )

    def request(self, method: str, path: str, **options: Any) -> Answer:
        """Make one call and read the whole answer, whatever its status.

        Raises Retryable for transport faults, a passed deadline and a body over `max_bytes`.
        """
        began = time.monotonic()
        try:
            with self._client.stream(method, path, **options) as response:
                body = self._read(response, began)
                seconds = time.monotonic() - began
                OUTBOUND.labels(self.service, str(response.status_code)).observe(seconds)
                return Answer(response.status_code, response.headers, body, seconds)
        except httpx.HTTPError as e:
            OUTBOUND.labels(self.service, type(e).__name__).observe(time.monotonic() - began)
            # The text of httpx's errors can hold the URL, so only their kind is kept.
            raise Retryable(self.service, after=2.0, detail=type(e).__name__) from None

    @contextmanager
    def stream(self, path: str, *, timeout: float, **options: Any) -> Iterator[Stream]:
        """GET an answer of any size and hand it out as it comes, in constant memory.

        `timeout` seconds bound the wait for the first byte and for each next one; nothing bounds
        the whole, so the caller stops when its own time is over. Raises Retryable for transport
        faults, also while the chunks are read.
        """
        began = time.monotonic()
        outcome = "stopped"
        try:
            with self._client.stream("GET", path, timeout=timeout, **options) as response:
                yield Stream(response.status_code, response.headers, response.iter_bytes())
            outcome = str(response.status_code)
        except httpx.HTTPError as e:
            outcome = type(e).__name__
            raise Retryable(self.service, after=2.0, detail=outcome) from None
        finally:
            OUTBOUND.labels(self.service, outcome).observe(time.monotonic() - began)

    def get(self, path: str, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, response: httpx.Response, began: float) -> bytes:
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > self.max_bytes:
                raise Retryable(self.service, after=60.0, detail="the answer is too large")
            if time.monotonic() - began > self.deadline:
                raise Retryable(self.service, after=10.0, detail="the answer took too long")
            chunks.append(chunk)
        return b"".join(chunks)
