"""Passkeys and codes in a real Chromium, with the authenticator that it carries for tests."""

from __future__ import annotations

import re
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import BrowserContext, CDPSession, Page, expect

from tests.factories import PASSWORD, make_brand, make_user

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.usefixtures("faults")]
EMAIL = "ada@example.test"
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def site(live_db: object, web: str) -> str:
    """Where Ada owns a brand. By name: browsers refuse passkeys at an IP address."""
    make_brand(name="Northwind", owner=make_user(email=EMAIL, name="Ada"))
    return web.replace("127.0.0.1", "localhost")


@pytest.fixture
def device(context: BrowserContext, page: Page) -> CDPSession:
    """A laptop with a fingerprint reader, which always says yes."""
    session = context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    return session


def log_in(page: Page, site: str) -> None:
    page.goto(f"{site}/accounts/login/")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def log_out(page: Page, site: str) -> None:
    page.goto(f"{site}/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Log out").click()
    page.goto(f"{site}/accounts/2fa/")
    expect(page).to_have_url(re.compile("/accounts/login/"))


def be_in(page: Page) -> None:
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def confirm(page: Page) -> None:
    """What changes rights asks for a fresh proof, also soon after the login."""
    expect(page.get_by_role("heading", name="Confirm it's you")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def test_a_passkey_is_added_logs_in_confirms_and_is_removed(
    site: str, page: Page, device: CDPSession
) -> None:
    log_in(page, site)
    be_in(page)
    page.goto(f"{site}/accounts/2fa/")
    page.get_by_role("link", name="Add one").click()
    confirm(page)
    page.get_by_label("Name").fill("Ada's laptop")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add the passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()

    log_out(page, site)
    page.goto(f"{site}/accounts/login/")
    page.get_by_role("button", name="Log in with a passkey").click()
    be_in(page)

    page.goto(f"{site}/accounts/2fa/webauthn/")
    row = page.get_by_role("row").filter(has_text="Ada's laptop")
    expect(row).to_contain_text("Passkey")
    expect(row).not_to_contain_text("Not yet")
    row.get_by_role("link", name="Remove").click()
    page.get_by_role("link", name=re.compile("security key|passkey", re.IGNORECASE)).click()
    page.get_by_role("button", name="Use your passkey").click()
    expect(page.get_by_role("heading", name="Remove “Ada's laptop”?")).to_be_visible()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("No passkeys yet")).to_be_visible()

    log_out(page, site)
    log_in(page, site)
    be_in(page)  # with the password alone: no second step is left


def test_a_device_that_refuses_is_said(site: str, page: Page, device: CDPSession) -> None:
    """The device knows no passkey for us, which the browser tells only to scripts."""
    page.goto(f"{site}/accounts/login/")
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_text("That did not work with your device")).to_be_visible()
    page.goto(f"{site.replace('localhost', '127.0.0.1')}/accounts/login/")
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_text("Browsers offer passkeys only at a name")).to_be_visible()


def code(secret: str, steps: int = 0) -> str:
    """What the app shows, `steps` half minutes from now: a code is taken once, so the next."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps)))


def second_step(page: Page, site: str, answer: str) -> None:
    log_in(page, site)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.locator("[name=code]").fill(answer)
    page.get_by_role("button", name="Log in").click()


def test_an_app_is_set_up_and_a_recovery_code_works_once(site: str, page: Page) -> None:
    log_in(page, site)
    be_in(page)
    page.goto(f"{site}/accounts/2fa/")
    page.get_by_role("link", name="Set it up").click()
    confirm(page)
    secret = (page.get_by_label("Secret for the authenticator app").text_content() or "").strip()
    page.locator("[name=code]").fill(code(secret))
    page.get_by_role("button", name="Turn it on").click()
    recovery = page.get_by_label("Unused codes").input_value().split()
    assert len(set(recovery)) == 10

    log_out(page, site)
    second_step(page, site, code(secret, steps=1))
    be_in(page)
    log_out(page, site)
    second_step(page, site, recovery[0])
    be_in(page)
    log_out(page, site)
    second_step(page, site, recovery[0])
    expect(page.get_by_text("Incorrect code")).to_be_visible()
    page.locator("[name=code]").fill(recovery[1])
    page.get_by_role("button", name="Log in").click()
    be_in(page)
    page.goto(f"{site}/accounts/2fa/")
    expect(page.get_by_text("8 of 10 are unused")).to_be_visible()
