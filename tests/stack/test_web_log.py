"""What the web process writes: a line for each thing that happened, under DEBUG too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client

from accounts.models import Membership
from saas.tenancy import scope
from tests.factories import make_brand, make_user
from tests.fixtures.database import LiveDb

pytestmark = pytest.mark.slow


@pytest.fixture
def web_log(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> tuple[str, Path]:
    """The address of a web process that writes JSON, and its log."""
    monkeypatch.setenv("LOG_JSON", "true")
    url: str = request.getfixturevalue("web")
    [log] = request.getfixturevalue("tmp_path").glob("web-*.log")
    return url, log


def test_refusals_are_lines_and_keys_are_in_none(
    live_db: LiveDb, web_log: tuple[str, Path], client_for: Callable[[Any], Client]
) -> None:
    address, log = web_log
    brand, viewer = make_brand(name="Northwind"), make_user()
    with scope(brand):
        Membership.objects.create(user=viewer, role="viewer")
    session = client_for(viewer).cookies["session"].value
    written = len(log.read_bytes())

    with httpx.Client(base_url=address) as web:
        assert (
            web.get("/b/northwind/settings/", headers={"Cookie": f"session={session}"}).status_code
            == 403
        )
        assert web.get("/invitations/WzEsMV0:1w:x/").status_code == 404
        assert web.post("/accounts/login/", data={"login": "x"}).status_code == 403  # no cookie

    new = log.read_bytes()[written:].decode()
    lines = [json.loads(line) for line in new.splitlines()]
    refusals = [line for line in lines if line["level"] == "warning"]
    assert [(r["logger"], r["status_code"], r["event"]) for r in refusals] == [
        ("django.request", 403, "Forbidden (Permission denied): /b/northwind/settings/"),
        ("django.request", 404, "Not Found: /invitations/[redacted]/"),
        ("django.security.csrf", 403, "Forbidden (CSRF cookie not set.): /accounts/login/"),
    ]
    assert "Traceback" not in new
    assert "WzEsMV0" not in new
