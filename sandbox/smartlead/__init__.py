"""A stand-in for SmartLead's API: its shapes, its limits, its faults, and accounts of any size from
a seed.
"""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount

from sandbox.smartlead import api, controls
from sandbox.smartlead.registry import Registry


def create_app(state_dir: Path) -> Starlette:
    """The API under /api/v1 and its controls under /_control.

    Keeps what must survive in `state_dir`/state.json.
    """
    registry = Registry(state_dir / "state.json")
    registry.load()
    app = Starlette(
        routes=[
            Mount("/api/v1", routes=api.routes(registry)),
            Mount("/_control", routes=controls.routes(registry)),
        ]
    )
    app.state.registry = registry
    return app
