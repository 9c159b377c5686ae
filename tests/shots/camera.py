"""The camera: opens a page as a role at a width, waits until it is calm, checks it, keeps it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urljoin

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page
from playwright.sync_api import Error as BrowserError

from tests.shots.pages import Shot

PHONE, DESK = 390, 1280
HEIGHTS = {PHONE: 844, DESK: 860}
WAIT_MS = 15_000
ROLES = {
    "staff": "staff",
    "on trial": "trial",
    "active": "active",
    "payment failed": "past_due",
}


@dataclass(frozen=True)
class Login:
    email: str
    password: str


@dataclass
class Finding:
    """What is wrong with one picture; nothing, mostly."""

    shot: Shot
    width: int
    theme: str
    problems: list[str] = field(default_factory=list)


class Camera:
    """One browser, one person a role; sessions are kept so that each role logs in once."""

    def __init__(self, browser: Browser, base: str, logins: dict[str, Login], out: Path) -> None:
        self.browser = browser
        self.base = base
        self.logins = logins
        self.out = out
        self._states: dict[str, Path] = {}
        self._brands: dict[str, str] = {}
        out.mkdir(parents=True, exist_ok=True)

    def take(self, shot: Shot) -> Iterator[Finding]:
        """One picture a width, and a theme where the shot asks for both."""
        for theme in ("light", "dark") if shot.dark else ("light",):
            for width in (PHONE, DESK):
                yield self._take(shot, width, theme)

    def _take(self, shot: Shot, width: int, theme: str) -> Finding:
        finding = Finding(shot, width, theme)
        scale = 2 if shot.hero else 1
        with self._context(shot.who, width, theme, scale) as context:
            page = context.new_page()
            hear = partial(_hear, shot=shot, finding=finding)
            page.on("console", hear)
            try:
                self._open(page, shot, finding)
            except BrowserError as error:
                finding.problems.append(f"can't be opened: {error.message.splitlines()[0]}")
                return finding
            suffix = "" if theme == "light" else f"-{theme}"
            if shot.hero:
                page.screenshot(path=self.out / f"hero-{shot.name}-{width}{suffix}.png")
            _grow(page, width)
            page.screenshot(path=self.out / f"{shot.name}-{width}{suffix}.png", scale="css")
            page.remove_listener("console", hear)  # axe breaks the policy itself, and is told so
            finding.problems += _judge(page, width)
        return finding

    def _open(self, page: Page, shot: Shot, finding: Finding) -> None:
        path = shot.path.format(brand=self._brands.get(shot.who, ""))
        response = page.goto(self.base + path)
        if shot.follow:
            link = page.locator(shot.follow).first
            href = str(link.get_attribute("href", timeout=2_000))
            response = page.goto(urljoin(page.url, href))
        if "/reauthenticate/" in page.url:
            page.fill("[name=password]", self.logins[shot.who].password)
            page.click("main form .button.primary")
            page.wait_for_url(lambda url: "/reauthenticate/" not in url)
        if response is not None and response.status != shot.status:
            finding.problems.append(f"answers {response.status}, not {shot.status}")
        for place, text in shot.fill:
            page.fill(place, text)
        for button in shot.press:
            page.locator(button).locator("visible=true").first.click()
        if shot.lands:
            page.wait_for_url(re.compile(shot.lands))
        page.wait_for_timeout(250)  # longer than any animation of ours

    @contextmanager
    def _context(self, who: str, width: int, theme: str, scale: int) -> Iterator[BrowserContext]:
        state = self._state(who) if who else None
        context = self.browser.new_context(
            viewport={"width": width, "height": HEIGHTS[width]},
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
            has_touch=width == PHONE,
            is_mobile=width == PHONE,
            device_scale_factor=scale,
            storage_state=state,
        )
        context.set_default_timeout(WAIT_MS)
        yield context
        context.close()

    def _state(self, who: str) -> Path:
        if who not in self._states:
            login = self.logins[who]
            context = self.browser.new_context()
            page = context.new_page()
            page.goto(f"{self.base}/accounts/login/")
            page.fill("[name=login]", login.email)
            page.fill("[name=password]", login.password)
            page.click("main form .button.primary")
            page.wait_for_url(lambda url: "/accounts/login/" not in url)
            slug = re.search(r"/b/([\w-]+)/", page.url)
            self._brands[who] = slug[1] if slug else ""
            self._states[who] = self.out / f".{who}.json"
            context.storage_state(path=self._states[who])
            context.close()
        return self._states[who]

    def close(self) -> None:
        """Forget the sessions."""
        for state in self._states.values():
            state.unlink()


def read_logins(text: str) -> dict[str, Login]:
    """Read what the demo wrote: one password, then a line a person; its words tell the role."""
    password = re.search(r"password (\S+)", text)
    found: dict[str, Login] = {}
    for email, words in re.findall(r"^ *([\w.+-]+@[\w.-]+)\s+(.*)$", text, re.MULTILINE):
        role = next((role for word, role in ROLES.items() if word in words), "")
        found.setdefault(role, Login(email, password[1] if password else ""))
    return found


def _hear(message: ConsoleMessage, shot: Shot, finding: Finding) -> None:
    told = {f"status of {status}" for status in (shot.status, shot.answer) if status != 200}
    if message.type == "error" and not any(words in message.text for words in told):
        finding.problems.append(f"console: {message.text[:160]}")


def _grow(page: Page, width: int) -> None:
    """Make the window as tall as the page: what sticks to its edges is then in its place."""
    height = int(page.evaluate("document.documentElement.scrollHeight"))
    page.set_viewport_size({"width": width, "height": max(height, HEIGHTS[width])})


def _judge(page: Page, width: int) -> list[str]:
    problems = []
    if int(page.evaluate("document.documentElement.scrollWidth")) > width:
        problems.append("is wider than its window")
    for violation in Axe().run(page).response["violations"]:
        nodes = "; ".join(node["html"][:90] for node in violation["nodes"][:3])
        problems.append(f"axe {violation['id']} ({len(violation['nodes'])}): {nodes}")
    return problems
