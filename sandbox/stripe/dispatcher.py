"""The background: sends due webhooks and runs due timers while real time passes.

One loop, woken when something was queued and otherwise twice a second. Deliveries go out a few at a
time and independently, so their order of arrival is nobody's promise.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from sandbox.stripe import clock, deliveries
from sandbox.stripe.context import Config
from sandbox.stripe.store import Store

AT_ONCE = 8
TICK = 0.5
PATIENCE = 20.0


@dataclass
class Dispatcher:
    """Start it with the application and stop it with it."""

    store: Store
    config: Config
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: set[int] = field(default_factory=set)
    _task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        self._woken.set()

    async def start(self) -> None:
        """Safe to repeat. A loop whose event loop is gone (a test's) is replaced."""
        if self._task is None or self._task.done() or self._task.get_loop() != _loop():
            self._woken = asyncio.Event()
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def deliver_all(self) -> list[dict[str, Any]]:
        """Sends everything pending once, whenever it was due; answers how each ended."""
        results = []
        async with _client() as client:
            for delivery in self._due(float("inf"), 10_000):
                status, error = await self._send(client, delivery)
                results.append({"event": delivery.event, "status": status, "error": error})
        return results

    async def _run(self) -> None:
        async with _client() as client:
            while True:
                clock.hurry(self.store, self.config)
                clock.run_until(self.store, self.config, clock.now(self.store))
                paused = self.store.meta("paused", default=False)
                found = [] if paused else self._due(time.time(), AT_ONCE)
                if found:
                    await asyncio.gather(*(self._send(client, delivery) for delivery in found))
                    continue
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), TICK)
                self._woken.clear()

    def _due(self, when: float, limit: int) -> list[deliveries.Delivery]:
        with self.store.transaction():
            found = deliveries.due(self.store, when, limit)
        return [delivery for delivery in found if delivery.seq not in self._busy]

    async def _send(
        self, client: httpx.AsyncClient, delivery: deliveries.Delivery
    ) -> tuple[int | None, str | None]:
        self._busy.add(delivery.seq)
        try:
            status, error = await deliveries.post(client, delivery)
            with self.store.transaction():
                deliveries.settle(self.store, delivery, status, error)
        finally:
            self._busy.discard(delivery.seq)
        return status, error


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False, trust_env=False)
