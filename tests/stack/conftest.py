"""Servers of a stack of its own, apart from the ones that the test run stands on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from saas.embedded.postgres import Postgres


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    """A started server in a folder that everybody may enter; tests may stop, kill and start it."""
    with tempfile.TemporaryDirectory(prefix="harbor-cluster-") as state:
        Path(state).chmod(0o755)
        server = Postgres(Path(state), durable=False)
        server.start()
        yield server
        server.stop()
        server.destroy()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A var/ of its own."""
    return tmp_path / "var"
