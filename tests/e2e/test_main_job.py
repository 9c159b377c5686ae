"""The main job of a new customer, in a real Chromium on the whole running system.

Sign up, connect, backfill (paused, resumed), work a lead, subscribe, cancel and keep, a VPN device,
a colleague who sees what the role allows. The console and the Content-Security-Policy stay clean.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.fixtures.browser import open_context
from tests.fixtures.processes import Sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PASSWORD = "a harbour at dawn 7"
OWNER, COLLEAGUE = "rosa@sunrise.example", "leo@sunrise.example"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    """The whole system: web, worker, beat, sandbox, catalog, one VPN location."""
    monkeypatch.setenv("PUBLIC_URL", os.environ["HARBOR_TEST_WEB"])
    monkeypatch.setenv("DEBUG", "true")
    url: str = request.getfixturevalue("web")
    request.getfixturevalue("worker")()
    request.getfixturevalue("beat")()
    from django.core.management import call_command

    call_command("sync_catalog", yes=True)
    _location()
    return url


def _location() -> None:
    from vpn import servers
    from vpn.agent import x25519
    from vpn.models import Server

    server, _ = servers.register(actor=None, **servers.DEMO)
    Server.objects.filter(pk=server.pk).update(
        public_key=x25519.public_of(x25519.new_private()), name="e2e"
    )


def confirm_address(page: Page, sandbox: Sandbox, email: str) -> None:
    """Open the newest mail to `email` on the sandbox's page and follow its link."""
    page.wait_for_timeout(500)
    for _ in range(40):
        if sandbox.mails(to=email):
            break
        page.wait_for_timeout(250)
    page.goto(f"{sandbox.url}/mail/")
    page.locator("a", has_text=email).first.click()
    page.locator("a[href*='/accounts/confirm-email/']").first.click()
    page.get_by_role("button", name="Yes, this is my address").click()


def test_a_stranger_does_the_whole_main_job(
    site: str, page: Page, context: BrowserContext, sandbox: Sandbox, faults: list[str],
    browser_for: Callable[[], Page],
) -> None:  # fmt: skip
    home = sign_up(page, site, sandbox)
    connect(page)
    backfill(page)
    work_a_lead(page, home)
    subscribe(page, home)
    cancel_and_keep(page, home)
    vpn_device(page, home)
    invite(page, home)
    colleague_joins(browser_for(), sandbox)


def sign_up(page: Page, site: str, sandbox: Sandbox) -> str:
    page.goto(site)
    page.get_by_role("link", name="Pricing").first.click()
    expect(page.get_by_text("Growth").first).to_be_visible()
    page.get_by_role("link", name=re.compile("trial", re.IGNORECASE)).first.click()
    page.fill("[name=email]", OWNER)
    page.fill("[name=password1]", PASSWORD)
    page.fill("[name=brand_name]", "Sunrise Outreach")
    page.get_by_role("button", name=re.compile("account", re.IGNORECASE)).click()
    confirm_address(page, sandbox, OWNER)
    page.wait_for_url("**/b/sunrise-outreach/")
    expect(page.get_by_text("Free trial").first).to_be_visible()
    return page.url


def connect(page: Page) -> None:
    page.get_by_role("link", name="Connect SmartLead").or_(
        page.get_by_role("listitem").filter(has_text="Connect SmartLead").get_by_role("link")
    ).first.click()
    page.fill("[name=api_key]", "not-a-key")
    page.get_by_role("button", name="Check and connect").click()
    expect(page.get_by_text("SmartLead does not accept this API key").first).to_be_visible()
    page.fill("[name=api_key]", "sl_sunrise_120_3_r600")
    page.get_by_role("button", name="Check and connect").click()
    expect(page.get_by_text("SmartLead is connected").first).to_be_visible()


def backfill(page: Page) -> None:
    page.get_by_role("button", name="Plan a backfill").first.click()
    expect(page.get_by_text("What this backfill would do")).to_be_visible()
    expect(page.get_by_text("All of them fit")).to_be_visible()
    page.get_by_role("button", name="Start it").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("You paused it")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("fetched so far stay")
    dialog.get_by_role("button", name="Cancel the backfill").click()
    expect(page.get_by_text("Cancelled.", exact=False).first).to_be_visible()
    faster(page)
    page.get_by_role("button", name="Plan a backfill").first.click()
    page.get_by_role("button", name="Start it").click()
    expect(page.get_by_text("Every lead that SmartLead gave us is here")).to_be_visible(
        timeout=120_000
    )


def faster(page: Page) -> None:
    """Raise the brand's own limit to what this account of the sandbox allows."""
    page.get_by_role("link", name="Backfills").first.click()
    page.get_by_role("link", name="SmartLead", exact=True).click()
    page.fill("[name=calls_per_minute]", "600")
    page.get_by_role("button", name="Save the limits").click()
    expect(page.get_by_text("The limits are saved")).to_be_visible()
    page.get_by_role("link", name="Backfills").first.click()


def work_a_lead(page: Page, home: str) -> None:
    page.goto(f"{home}leads/")
    expect(page.get_by_text(re.compile("^120 leads"))).to_be_visible()
    page.get_by_text("Filters", exact=True).click()
    page.select_option("[name=replied]", "1")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page).to_have_url(re.compile("replied=1"))
    lead = page.locator("td.title a").first
    name = str(lead.text_content()).strip()
    lead.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    expect(page.locator(".timeline li")).not_to_have_count(0)
    page.goto(f"{home}leads/?q=zzzzzz")
    expect(page.get_by_text("Nothing found")).to_be_visible()


def subscribe(page: Page, home: str) -> None:
    page.goto(f"{home}billing/")
    page.get_by_role("link", name="Choose a plan").first.click()
    page.get_by_role("button", name="Subscribe to Growth", exact=True).click()
    page.wait_for_url("**/stripe/checkout/**")
    page.select_option("[name=country]", "US")
    page.fill("[name=line1]", "1 Main St")
    page.fill("[name=city]", "Portland")
    page.fill("[name=state]", "OR")
    page.fill("[name=postal_code]", "97201")
    page.locator("input[name=card][value='4000000000000002']").check(force=True)
    page.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_text("declined").first).to_be_visible()
    page.locator("input[name=card][value='4242424242424242']").check(force=True)
    page.get_by_role("button", name="Subscribe").click()
    page.wait_for_url("**/billing/return/**")
    expect(page.get_by_text("You are on Growth")).to_be_visible(timeout=60_000)


def cancel_and_keep(page: Page, home: str) -> None:
    page.goto(f"{home}billing/")
    expect(page.get_by_text("$149.00").first).to_be_visible()
    page.get_by_role("button", name="Cancel the plan").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the plan").click()
    page.get_by_role("button", name="Keep the plan").first.click()
    expect(page.get_by_role("button", name="Cancel the plan").first).to_be_visible()
    page.get_by_role("button", name=re.compile("at Stripe")).click()
    page.wait_for_url("**/stripe/portal/**")


def vpn_device(page: Page, home: str) -> None:
    page.goto(f"{home}vpn/")
    page.get_by_role("link", name=re.compile("Add a device")).first.click()
    page.fill("[name=name]", "Rosa's laptop")
    page.get_by_role("button", name="Create the device").click()
    expect(page.get_by_text("it is shown once")).to_be_visible()
    assert "PrivateKey" in page.content()
    page.get_by_role("link", name="I saved it").click()
    assert "PrivateKey" not in page.content()
    page.get_by_role("button", name="Revoke").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke the device").click()
    expect(page.get_by_text("is revoked").first).to_be_visible()


def invite(page: Page, home: str) -> None:
    page.goto(f"{home}team/")
    page.get_by_role("button", name="Invite someone").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("[name=email]").fill(COLLEAGUE)
    dialog.locator("[name=role]").select_option("viewer")
    dialog.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text(COLLEAGUE).first).to_be_visible()


@pytest.fixture
def browser_for(browser: Browser) -> Iterator[Callable[[], Page]]:
    """Another person's browser, without our cookies."""
    opened: list[BrowserContext] = []

    def fresh() -> Page:
        other = open_context(browser, 390, 844)
        opened.append(other)
        return other.new_page()

    yield fresh
    for one in opened:
        one.close()


def colleague_joins(page: Page, sandbox: Sandbox) -> None:
    for _ in range(40):
        if sandbox.mails(to=COLLEAGUE):
            break
        page.wait_for_timeout(250)
    page.goto(f"{sandbox.url}/mail/")
    page.locator("a", has_text=COLLEAGUE).first.click()
    page.locator("a[href*='/invitation']").first.click()
    page.locator("a[href*='signup'], button:has-text('account')").first.click()
    page.fill("[name=password1]", PASSWORD)
    page.locator("form button[type=submit]").last.click()
    page.wait_for_url("**/b/sunrise-outreach/**")
    base = page.url.split("/b/")[0] + "/b/sunrise-outreach/"
    assert page.goto(f"{base}leads/").status == 200  # type: ignore[union-attr]
    expect(page.get_by_role("button", name="Plan a backfill")).to_have_count(0)
    for closed in ("billing/", "connection/", "settings/"):
        assert page.goto(base + closed).status == 403  # type: ignore[union-attr]
