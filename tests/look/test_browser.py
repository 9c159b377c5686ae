"""The comfort that scripts add, in a real browser, and that pages work without any."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from accounts import sessions
from accounts.models import User
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


KEPT = "We kept what you typed. It isn't saved yet."


def drop_sessions(address: str = "ada@example.test") -> None:
    sessions.end_all(User.objects.get(email=address))


def log_in_again(page: Page, email: str = "ada@example.test") -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def draft(page: Page) -> str:
    page.wait_for_load_state()
    return str(page.evaluate("sessionStorage.getItem('draft')"))


def test_a_form_comes_back_as_it_was_when_the_session_ended_meanwhile(
    harbor: str, page: Page, faults: list[str]
) -> None:
    log_in(page, harbor)
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Brand name").fill("Northwind & Daughters")
    page.get_by_label("Time zone").select_option("Europe/Oslo")
    drop_sessions()

    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("nothing was saved")).to_be_visible()
    log_in_again(page)

    expect(page.get_by_text(KEPT)).to_be_visible()
    expect(page.get_by_label("Brand name")).to_have_value("Northwind & Daughters")
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Oslo")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_label("Brand name")).to_have_value("Northwind & Daughters")
    expect(page.get_by_text(KEPT)).to_have_count(0)
    assert draft(page) == "None"


def test_what_was_typed_in_a_dialog_comes_back_in_it(harbor: str, page: Page) -> None:
    log_in(page, harbor)
    page.get_by_role("link", name="Team").click()
    page.get_by_role("button", name="Invite someone").click()
    page.get_by_role("dialog").get_by_label("E-mail address").fill("bo@example.test")
    drop_sessions()

    page.get_by_role("dialog").get_by_role("button", name="Send the invitation").click()
    log_in_again(page)

    dialog = page.get_by_role("dialog", name="Invite someone")
    expect(dialog.get_by_text(KEPT)).to_be_visible()
    expect(dialog.get_by_label("E-mail address")).to_have_value("bo@example.test")


def test_what_was_typed_before_a_link_led_to_the_login_waits_for_its_page(
    harbor: str, page: Page
) -> None:
    log_in(page, harbor)
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Brand name").fill("Northwind & Daughters")
    drop_sessions()

    page.get_by_role("link", name="Team").click()
    log_in_again(page)
    expect(page.get_by_role("heading", name="Team", exact=True)).to_be_visible()
    page.get_by_role("link", name="Settings").click()

    expect(page.get_by_text(KEPT)).to_be_visible()
    expect(page.get_by_label("Brand name")).to_have_value("Northwind & Daughters")


def test_another_person_in_the_same_tab_gets_nothing_of_it(harbor: str, page: Page) -> None:
    make_brand(name="Southwind", owner=make_user(email="bob@example.test", name="Bob"))
    log_in(page, harbor)
    page.goto(f"{harbor}/accounts/profile/")
    page.get_by_label("Your name").fill("Ada of the North")
    drop_sessions()

    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("nothing was saved")).to_be_visible()
    log_in_again(page, "bob@example.test")

    expect(page.get_by_label("Your name")).to_have_value("Bob")
    expect(page.get_by_text(KEPT)).to_have_count(0)
    assert draft(page) == "None"


def test_secrets_are_never_kept_and_a_log_out_forgets_the_rest(harbor: str, page: Page) -> None:
    log_in(page, harbor)
    page.goto(f"{harbor}/b/northwind/settings/")
    page.evaluate(
        """() => {
          const form = document.querySelector("main form");
          for (const [name, type] of [
            ["password1", "password"], ["api_key", "text"], ["code", "text"],
            ["card_number", "text"], ["invitation_token", "text"], ["papers", "file"],
            ["request_key", "hidden"],
          ]) form.append(Object.assign(document.createElement("input"), { name, type }));
        }"""
    )
    for name in ("password1", "api_key", "code", "card_number", "invitation_token"):
        page.locator(f"[name={name}]").fill("sesame")
    page.get_by_label("Brand name").fill("Northwind & Daughters")

    [kept] = page.evaluate("Object.values(JSON.parse(sessionStorage.getItem('draft')).forms)")
    assert sorted(kept) == ["email", "name", "time_zone"]
    assert "sesame" not in draft(page)

    page.locator(".menu.up > summary").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(lambda url: "/settings/" not in url)
    assert draft(page) == "None"


def test_a_phone_without_scripts_is_told_that_nothing_was_saved(
    harbor: str, plain_phone: BrowserContext
) -> None:
    page = plain_phone.new_page()
    log_in(page, harbor)
    page.goto(f"{harbor}/b/northwind/settings/")
    page.get_by_label("Brand name").fill("Northwind & Daughters")
    drop_sessions()

    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("You were logged out, so nothing was saved.")).to_be_visible()
    log_in_again(page)
    expect(page.get_by_label("Brand name")).to_have_value("Northwind")
