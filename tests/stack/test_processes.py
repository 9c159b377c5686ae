"""The fixtures that other tests stand on."""

from __future__ import annotations

import os
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from playwright.sync_api import Page

from saas.embedded.processes import Child, Identity, read_identity, write_identity
from tests import servers
from tests.fixtures.processes import Process, Sandbox


def test_the_sandbox_plays_all_parts(sandbox: Sandbox) -> None:
    answer = httpx.get(
        f"{settings.SMARTLEAD_API_BASE}/campaigns",
        params={"api_key": "sl_fixture_100_2"},
        headers={"User-Agent": "Harbor/1.0"},
    )
    assert len(answer.json()) == 2
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.test", "b@example.test", "Hello"
    with smtplib.SMTP(settings.EMAIL_HOST, settings.EMAIL_PORT) as smtp:
        smtp.send_message(mail)
    assert [m["subject"] for m in sandbox.mails(to="b@example.test")] == ["Hello"]


def test_the_next_run_ends_what_a_killed_run_left_behind(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Path(os.environ["HARBOR_TEST_FOLDER"]) / f"sandbox-{os.getpid()}.pid.json"
    known = read_identity(ours)
    assert known
    assert known.alive()

    folder = tmp_path / f"{servers.PREFIX}gone"
    write_identity(folder / "owner.json", Identity(os.getpid(), "another boot/1"))
    left = Child("left", ["sleep", "600"], log=folder / "log", pid_file=folder / "left.pid.json")
    left.start()
    monkeypatch.setattr(servers, "_places", lambda: [tmp_path])
    servers._clear_leftovers()
    assert not left.alive()
    assert not folder.exists()


@pytest.mark.e2e
def test_the_browser_shows_a_page_with_its_styles(web: str, page: Page) -> None:
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("response", lambda r: failed.append(r.url) if r.status >= 400 else None)
    page.goto(f"{web}/accounts/login/")
    assert page.locator("form").count() > 0
    assert failed == []


@pytest.mark.slow
def test_web_and_worker_run_on_a_database_of_their_own(
    web: str, worker: Callable[[], Process]
) -> None:
    worker()
    assert httpx.get(f"{web}/health/ready").json() == {"ok": True}
