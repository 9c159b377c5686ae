"""A stand-in for SmartLead's API: its shapes, limits and faults, and accounts of any size."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from sandbox.smartlead import api, controls
from sandbox.smartlead.campaign_webhooks import CampaignWebhooks
from sandbox.smartlead.registry import Registry
from sandbox.smartlead.webhooks import Courier


def create_app(state_dir: Path) -> Starlette:
    """The API under /api/v1 and its controls under /_control.

    Keeps what must survive in `state_dir`/state.json.
    """
    registry = Registry(state_dir / "state.json")
    registry.load()
    courier = Courier(registry)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await courier.drop()

    webhooks = Route(
        "/campaigns/{campaign}/webhooks",
        api.guarded(registry, "webhooks", CampaignWebhooks(registry)),
        methods=["GET", "POST", "DELETE"],
    )
    return Starlette(
        routes=[
            Mount("/api/v1", routes=[*api.routes(registry), webhooks]),
            Mount("/_control", routes=controls.routes(registry, courier)),
        ],
        lifespan=lifespan,
    )
