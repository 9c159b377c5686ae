"""The comfort that scripts add, in a real browser, and that pages work without any."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.factories import PASSWORD, make_brand, make_user

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def harbor(live_db: object, web: str) -> str:
    """The address of a Harbor where Ada owns the brand Northwind."""
    make_brand(name="Northwind", owner=make_user(email="ada@example.test", name="Ada"))
    return web


@pytest.fixture
def plain_phone(browser: Browser) -> Iterator[BrowserContext]:
    """A phone whose browser runs no script."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, java_script_enabled=False
    )
    context.set_default_timeout(15_000)
    yield context
    context.close()


def log_in(page: Page, address: str) -> None:
    page.goto(f"{address}/accounts/login/")
    page.get_by_label("E-mail address").fill("ada@example.test")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.wait_for_load_state()  # the keys are heard once the scripts run


def test_the_chosen_theme_is_there_before_the_first_paint(harbor: str, page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(harbor)
    page.get_by_role("button", name="Dark").click()

    page.goto(f"{harbor}/accounts/login/", wait_until="commit")
    page.wait_for_selector("body", state="attached")

    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert complaints == []


def test_a_key_opens_the_list_of_keys(harbor: str, page: Page) -> None:
    log_in(page, harbor)

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_a_dialog_asks_before_what_cannot_be_undone(harbor: str, page: Page) -> None:
    log_in(page, harbor)
    page.get_by_role("link", name="Team").click()
    page.get_by_role("button", name="Invite someone").click()
    dialog = page.get_by_role("dialog", name="Invite someone")
    expect(dialog).to_be_visible()

    dialog.get_by_role("button", name="Close").click()

    expect(dialog).to_be_hidden()


def test_a_phone_without_scripts_logs_in_and_finds_its_way(
    harbor: str, plain_phone: BrowserContext
) -> None:
    page = plain_phone.new_page()
    log_in(page, harbor)
    expect(page.get_by_role("link", name="Team")).to_be_hidden()

    page.get_by_role("button", name="Open the menu").click()
    page.get_by_role("link", name="Team").click()

    expect(page.get_by_role("heading", name="Team", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Invite someone")).to_be_visible()
    expect(page.get_by_role("button", name="Invite someone")).to_be_hidden()
