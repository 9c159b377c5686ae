"""The main pages have no accessibility violation, as each kind of person sees them.

The pages, the people and the demo are those of `make shots`; axe judges each at phone and desktop
width. A console error, an unexpected status and a page wider than its window count too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from playwright.sync_api import Browser

from sandbox.demo import story
from tests.fixtures.processes import Sandbox
from tests.shots.camera import Camera, Login, read_logins
from tests.shots.pages import Shot, shots

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STRANGER = ("landing", "pricing", "signup", "login", "error-404")
OWNER = (
    *("overview", "leads", "lead", "backfills", "plan"),
    *("billing", "change", "change-less", "change-more", "subscribe", "return-unknown"),
    *("vpn", "device-new", "team", "team-invite", "settings"),
)
VIEWER = ("overview", "leads", "lead", "backfills", "vpn", "team")
STAFF = ("admin", "admin-brands", "admin-brands-one")


@pytest.fixture
def camera(
    sandbox: Sandbox, web: str, browser: Browser, settings: Any, tmp_path: Path
) -> Iterator[Camera]:
    """A camera on a Harbor with a small demo."""
    settings.DEBUG, settings.VAR = True, tmp_path
    call_command("sync_catalog", yes=True)
    logins = read_logins(story.tell(brands=2, leads=120))
    logins["viewer"] = Login("vera@northwind.example", story.PASSWORD)
    camera = Camera(browser, web, logins, tmp_path / "shots")
    yield camera
    camera.close()


def chosen(names: tuple[str, ...], *, who: str | None = None) -> list[Shot]:
    """Those shots, in light alone; `who` sees them instead of who is named there."""
    known = {shot.name: shot for shot in shots()}
    picked = [replace(known[name], dark=False, hero=False) for name in names]
    return [replace(shot, who=who) for shot in picked] if who is not None else picked


def problems(camera: Camera, pages: list[Shot]) -> list[tuple[str, str, int, str]]:
    return [
        (shot.who, shot.name, finding.width, problem)
        for shot in pages
        for finding in camera.take(shot)
        for problem in finding.problems
    ]


def test_the_main_pages_have_no_violation(camera: Camera) -> None:
    pages = [*chosen(STRANGER), *chosen(OWNER), *chosen(VIEWER, who="viewer"), *chosen(STAFF)]
    assert problems(camera, pages) == []
