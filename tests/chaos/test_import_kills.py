"""A large file through the real web server and killed workers: flat memory, every row once."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client

from leads.files import sweep
from leads.models import Import
from saas.embedded.processes import wait_until
from saas.tenancy import everyone
from tests.factories import make_brand, make_user
from tests.fixtures.processes import Process
from tests.leads.test_import import HEADER, Desk, people

pytestmark = [pytest.mark.chaos, pytest.mark.slow]
KILLS, ROWS = 4, 60_000
GROWS_BY = 48 * 1024  # KiB, for a file of 100 MB


@pytest.fixture
def desk(live_db: Any) -> Desk:
    owner = make_user()
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    return Desk(client, make_brand(owner=owner))


def lapse() -> None:
    """Let the dead worker's lease run out now: time passes, but nobody waits for it."""
    with everyone("chaos"):
        Import.objects.update(lease_until=None)
    time.sleep(sweep.OVERDUE.total_seconds())
    sweep.run()


@pytest.mark.parametrize("state", ["checked", "finished"])
def test_sigkill_again_and_again(desk: Desk, worker: Callable[[], Process], state: str) -> None:
    dice = random.Random(7)
    desk.room(ROWS - 100)
    desk.upload(people(ROWS) + people(50).removeprefix(HEADER) + "bad,,,,,\n")
    row = desk.job()
    if state == "finished":
        desk.check()
        desk.client.post(desk.url(f"{row.pk}/start/"))
    else:
        form = {"column": row.mapping, "encoding": "utf-8", "delimiter": ","}
        desk.client.post(desk.url(f"{row.pk}/columns/"), form)
    victim = worker()
    for _ in range(KILLS):
        before = desk.job().position
        wait_until(lambda seen=before: desk.job().position > seen or desk.job().state == state, 60)  # type: ignore[misc]
        time.sleep(dice.uniform(0, 0.4))
        victim.kill()
        victim = worker()
        lapse()
    assert wait_until(lambda: desk.job().state == state, 120), desk.job().__dict__
    row = desk.job()
    assert (row.rows, row.new, row.known, row.bad) == (ROWS + 51, ROWS, 0, 51)
    if state == "finished":
        assert (row.done, row.leads_new, row.left_out) == (ROWS + 51, ROWS - 100, 100)
        assert len(desk.leads()) == ROWS - 100
        assert len(desk.rejected()) == 1 + 51 + 100


def test_a_large_upload_keeps_the_web_server_small(desk: Desk, web: str) -> None:
    cookies = {name: cookie.value for name, cookie in desk.client.cookies.items()}
    browser = httpx.Client(base_url=web, cookies=cookies, timeout=120, headers={"Origin": web})
    page = browser.get(desk.url()).text
    token = page.split('csrfmiddlewaretoken" value="')[1].split('"')[0]
    before = peak()
    answer = browser.post(
        desk.url(),
        content=form_of(token),
        headers={
            "Content-Type": "multipart/form-data; boundary=edge",
            "Content-Length": str(sum(map(len, form_of(token)))),
        },
    )
    assert answer.headers["Location"] == desk.url(f"{desk.job().pk}/columns/")
    assert desk.job().size > 100_000_000
    assert peak() - before < GROWS_BY


def form_of(token: str) -> Iterator[bytes]:
    def part(name: str, more: str = "") -> str:
        return f'--edge\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'

    yield f"{part('csrfmiddlewaretoken')}{token}\r\n{part('file', '; filename=a.csv')}".encode()
    yield b"email,notes\n"
    for number in range(100_000):
        yield f"person{number}@example.test,{'x' * 1_000}\n".encode()
    yield f"\r\n{part('whole')}1\r\n--edge--\r\n".encode()


def peak() -> int:
    """The largest peak memory, in KiB, of this test's web server's processes."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    ours, web = {str(os.getpid())}, []
    for pid, parent, args in (line.split(None, 2) for line in listed.splitlines()):
        if parent in ours:
            ours.add(pid)
            web += [pid] if "granian" in args else []
    return max(
        int(line.split()[1])
        for pid in web
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
