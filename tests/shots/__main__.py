"""The command: `python -m tests.shots [--base URL --logins FILE] [--only WORD]`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

from saas.embedded import commands
from saas.embedded.machine import free_port
from saas.embedded.processes import Child
from saas.embedded.stack import answers
from tests.fixtures.browser import FLAGS, find
from tests.shots.camera import Camera, Login, read_logins
from tests.shots.pages import Shot, shots

VAR = commands.BASE / "var"
START_SECONDS = 600  # the first start migrates and makes the demo data


def main() -> int:
    options = _options()
    chromium = find()
    if chromium is None:
        print("No chromium on the PATH (Debian: apt-get install chromium).", file=sys.stderr)
        return 2
    wanted = [shot for shot in shots() if options.only in shot.name]
    with _stack(options) as (base, logins), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        camera = Camera(browser, base, logins, options.out)
        try:
            bad = sum(_report(camera, shot) for shot in wanted)
        finally:
            camera.close()
            browser.close()
    print(f"\n{len(wanted)} pages in {options.out}, {bad} pictures with problems.")
    return 1 if bad else 0


def _report(camera: Camera, shot: Shot) -> int:
    if shot.who and shot.who not in camera.logins:
        print(f"{shot.name:24} no login for {shot.who}")
        return 1
    bad = 0
    for finding in camera.take(shot):
        bad += bool(finding.problems)
        for problem in finding.problems:
            print(f"{shot.name:24} {finding.width:5} {finding.theme:6} {problem}", flush=True)
    if not bad:
        print(f"{shot.name:24} ok", flush=True)
    return bad


@contextmanager
def _stack(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Login]]]:
    if options.base:
        yield options.base.rstrip("/"), read_logins(options.logins.read_text())
        return
    folder = VAR / "shots-stack"
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    child = Child(
        "stack",
        commands.manage("up", "--port", str(port)),
        log=folder / "up.log",
        env={**os.environ, "HARBOR_VAR": str(folder)},
    )
    child.start()
    try:
        child.wait_ready(lambda: answers(f"{base}/health/live"), timeout=START_SECONDS)
        yield base, read_logins((folder / "logins.txt").read_text())
    finally:
        child.stop(signal.SIGINT, timeout=120)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.shots", description=__doc__)
    parser.add_argument("--base", default="", help="address of a running Harbor")
    parser.add_argument("--logins", type=Path, default=VAR / "logins.txt", help="its demo logins")
    parser.add_argument("--only", default="", help="pages whose name contains this word")
    parser.add_argument("--out", type=Path, default=VAR / "shots")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
