"""The real agent at the real API, over a tunnel that exists in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.vpn.conftest import Node
from vpn.agent.api import Api
from vpn.agent.loop import Agent
from vpn.agent.memory import MemoryDriver


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Flight:
    """A node, its agent and driver; `faults` are answered instead of Harbor's answers until they
    are used up."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node, self.folder = node, folder
        self.driver, self.clock = MemoryDriver(), Clock()
        self.faults: list[Exception | httpx.Response] = []
        self.calls: list[str] = []
        self.sent: list[httpx.Request] = []
        self.agent = self.start()

    def start(self) -> Agent:
        api = Api("http://testserver", self.node.token, httpx.MockTransport(self.answer))
        return Agent(api, self.driver, self.folder, clock=self.clock)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request.url.path.rpartition("/")[2])
        self.sent.append(request)
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        # wait=0: the clock of these tests stands still.
        path = f"{request.url.path}?wait=0"
        kept = {k: v for k, v in request.headers.items() if k in ("authorization", "if-none-match")}
        response: Any = self.node.client.generic(
            request.method, path, request.content, "application/json", headers=kept
        )
        return httpx.Response(
            response.status_code, content=response.content, headers=dict(response.items())
        )

    def later(self, seconds: float = 31.0) -> None:
        self.clock.now += seconds
        self.agent.step()
