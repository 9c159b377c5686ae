"""Faults on demand: which calls they strike, and what the client gets instead of, or mixed into,
its answer.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import struct
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from sandbox.control import BadControl, number_of
from sandbox.smartlead.malformed import FLAWS, spoil

KINDS = (
    "429", "500", "524", "html", "empty", "braces", "truncated", "reset", "slow", "duplicate",
    "malformed", "not_found",
)  # fmt: skip
PAGE_KINDS = ("duplicate", "malformed")
_CLOUDFLARE = """<!DOCTYPE html>
<html><head><title>server.smartlead.ai | {code}: {what}</title></head>
<body><h1>{what}</h1><p>Error {code}</p><p>Cloudflare Ray ID: 8f2b7c91ad3e4f10</p></body></html>"""


@dataclass(slots=True)
class Fault:
    """A rule. It strikes calls whose path matches `path` (a regular expression, searched), of one
    key when `key` is set: the first `count` of them after `skip`, or each with `probability`
    (from `seed`). Times in seconds.
    """

    kind: str
    path: str = ""
    key: str = ""
    count: int | None = None
    skip: int = 0
    probability: float = 1
    seed: int = 0
    delay: float = 0
    retry_after: int = 30
    rows: int = 1
    flaw: str = "no_email"
    struck: int = 0
    _dice: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def strikes(self, path: str, key: str) -> bool:
        """Decides for one call, and counts it."""
        if (self.key and key != self.key) or not re.search(self.path, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.count is not None and self.struck >= self.count:
            return False
        if self.probability < 1 and self._dice.random() >= self.probability:
            return False
        self.struck += 1
        return True

    def shown(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if not name.startswith("_")}


def parse(values: Mapping[str, Any]) -> Fault:
    """A rule as it is sent to `/_control/faults`. Raises BadControl, naming what is wrong."""
    kind = str(values.get("kind", ""))
    flaw = str(values.get("flaw", "no_email"))
    if kind not in KINDS:
        raise BadControl(f"kind must be one of {', '.join(KINDS)}.")
    if flaw not in FLAWS:
        raise BadControl(f"flaw must be one of {', '.join(FLAWS)}.")
    unknown = set(values) - {
        name for name in Fault.__dataclass_fields__ if name not in ("struck", "_dice")
    }
    if unknown:
        raise BadControl(f"Unknown: {', '.join(sorted(unknown))}.")
    path = str(values.get("path", ""))
    try:
        re.compile(path)
    except re.error as error:
        raise BadControl(f"path is not a regular expression: {error}") from error
    count = values.get("count")
    probability = float(number_of(values, "probability", 1))
    if not 0 <= probability <= 1:
        raise BadControl("probability must be between 0 and 1.")
    return Fault(
        kind=kind,
        path=path,
        key=str(values.get("key", "")),
        count=None if count is None else int(number_of(values, "count", 0)),
        skip=int(number_of(values, "skip", 0)),
        probability=probability,
        seed=int(number_of(values, "seed", 0)),
        delay=float(number_of(values, "delay", 0.2 if kind in ("524", "slow") else 0)),
        retry_after=int(number_of(values, "retry_after", 30)),
        rows=int(number_of(values, "rows", 1)),
        flaw=flaw,
    )


class Faults:
    """The rules in force; for each call the first that strikes wins."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []

    def strike(self, path: str, key: str) -> Fault | None:
        return next((rule for rule in self.rules if rule.strikes(path, key)), None)


class Reset(Response):
    """No answer: the connection is torn down with a TCP reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope["sandbox.transport"]
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def too_many(retry_after: int, message: str) -> JSONResponse:
    error = {"code": "RATE_LIMIT_EXCEEDED", "message": message, "retry_after": retry_after}
    return JSONResponse(
        {"error": error}, status_code=429, headers={"Retry-After": str(retry_after)}
    )


def page_of(code: int, what: str, *, status: int | None = None) -> HTMLResponse:
    return HTMLResponse(_CLOUDFLARE.format(code=code, what=what), status_code=status or code)


async def instead(fault: Fault) -> Response | None:
    """What the client gets without the endpoint being asked; None: it is asked. Waits `delay`
    first.
    """
    if fault.delay:
        await asyncio.sleep(fault.delay)
    match fault.kind:
        case "429":
            return too_many(fault.retry_after, "Too many requests, please try again later.")
        case "500":
            return JSONResponse({"error": "Internal Server Error"}, status_code=500)
        case "524":
            return page_of(524, "A timeout occurred")
        case "html":
            return page_of(200, "Just a moment...")
        case "empty":
            return Response(b"", media_type="application/json")
        case "braces":
            return JSONResponse({})
        case "not_found":
            return JSONResponse({"error": "Campaign not found"}, status_code=404)
        case "reset":
            return Reset()
    return None


def after(fault: Fault, response: Response) -> Response:
    """The endpoint's answer, spoilt; errors pass unchanged, streams but for `truncated`."""
    if fault.kind == "truncated" and isinstance(response, StreamingResponse):
        response.body_iterator = _cut(response.body_iterator)
        return response
    body = getattr(response, "body", None)
    if not isinstance(body, bytes | memoryview) or response.status_code != 200:
        return response
    raw = bytes(body)
    if fault.kind == "truncated":
        return Response(raw[: len(raw) * 2 // 3], media_type="application/json")
    if fault.kind in PAGE_KINDS:
        return _spoilt_page(fault, raw)
    return response


async def _cut(chunks: AsyncIterable[Any]) -> AsyncIterator[Any]:
    """The stream's beginning, and two thirds of what follows it: it ends as if it were whole."""
    chunk_number = 0
    async for chunk in chunks:
        chunk_number += 1
        if chunk_number == 1:
            yield chunk
        else:
            yield chunk[: len(chunk) * 2 // 3]
            return


def _spoilt_page(fault: Fault, raw: bytes) -> Response:
    page = json.loads(raw)
    rows = page.get("data") if isinstance(page, dict) else None
    if isinstance(rows, list):
        if fault.kind == "duplicate":
            page["data"] = [
                row for n, row in enumerate(rows) for _ in range(2 if n < fault.rows else 1)
            ]
        else:
            page["data"] = [
                spoil(row, fault.flaw) if n < fault.rows else row for n, row in enumerate(rows)
            ]
    return JSONResponse(page)
