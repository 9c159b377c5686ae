"""A server with its node, and a brand that may have devices."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from tests.vpn import words


@dataclass
class Node:
    """A server of ours and its agent's end of the API, spoken over HTTP."""

    server: Any
    token: str
    client: Client

    def headers(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **more}

    def desired(self, *, etag: str = "", wait: float = 0) -> Any:
        extra = {"If-None-Match": etag} if etag else {}
        return self.client.get(f"/agent/v1/desired?wait={wait}", headers=self.headers(**extra))

    def peers(self) -> list[dict[str, Any]]:
        return list(self.desired().json()["peers"])

    def report(self, *peers: dict[str, Any], **fields: Any) -> Any:
        return self.client.post(
            "/agent/v1/report",
            data=words.report(*peers, **fields),
            content_type="application/json",
            headers=self.headers(),
        )


@pytest.fixture
def make_node(db: None) -> Callable[..., Node]:
    def make(**fields: Any) -> Node:
        server, token = words.make_server(**fields)
        return Node(server, token, Client())

    return make


@pytest.fixture
def node(make_node: Callable[..., Node]) -> Node:
    return make_node()


@pytest.fixture
def roomy(brand: Any) -> Any:
    """A brand whose plan has room for 5 devices."""
    words.put_on_plan(brand, "leads_growth")
    return brand


@pytest.fixture
def add_device(node: Node, roomy: Any, owner: Any) -> Callable[..., Any]:
    def add(name: str = "Laptop", **fields: Any) -> Any:
        from vpn import devices

        values = {
            "brand_id": roomy.pk,
            "owner": owner,
            "actor": owner,
            "server_id": node.server.pk,
            "request_key": uuid.uuid4(),
        }
        return devices.create(**(values | {"name": name} | fields))

    return add
