"""What the stand-ins share: a clock that can be moved, state on disk, and answers to control
requests.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Handler = Callable[[Request], Awaitable[Response]]


class Clock:
    """The real time plus an offset that only grows. Rate-limit windows and new events follow it."""

    def __init__(self, offset: float = 0) -> None:
        self.offset = offset

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        self.offset += seconds

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)


class BadControl(Exception):
    """A control request that can't be understood; its text is for the person who sent it."""


def controlled(handler: Handler) -> Handler:
    """Answers 400 with the reason when `handler` raises BadControl."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except BadControl as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return answer


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object sent; an empty body counts as `{}`."""
    raw = await request.body()
    try:
        value = json.loads(raw or b"{}")
    except ValueError as error:
        raise BadControl(f"The body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadControl("The body must be a JSON object.")
    return value


def number_of(values: Mapping[str, Any], name: str, default: float) -> float:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadControl(f"{name} must be a number.")
    return value


def write_json(path: Path, value: object) -> None:
    """Replaces the file in one step: a reader, or a start after a crash, sees the old or the new
    whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        json.dump(value, file)
    Path(name).replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in the file, `{}` when there is no file yet."""
    if not path.exists():
        return {}
    value: dict[str, Any] = json.loads(path.read_text())
    return value
