"""One server for the tests of the sandbox's Stripe, emptied before each.

Every answer of every test fits the contract. Requests need not: these tests also send what Stripe
refuses; for Harbor's own requests the `sandbox` fixture is stricter.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts import CONTRACT_FILE, violations
from tests.sandbox.stripe.box import SECRET, Box, Server


@pytest.fixture(scope="session")
def stripe_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRIPE_WEBHOOK_SECRET", SECRET)
        server = Server.start(Path(tmp_path_factory.mktemp("stripe")), CONTRACT_FILE)
    yield server
    server.stop()


@pytest.fixture
def box(stripe_server: Server) -> Iterator[Box]:
    """An empty sandbox. Deliveries are paused, so that only the tests that want them see them."""
    box = Box(stripe_server.url)
    box.control("POST", "/reset")
    box.control("POST", "/deliveries/pause", {"paused": True})
    yield box
    assert [found for found in violations(stripe_server.url) if found.startswith("answer:")] == []
