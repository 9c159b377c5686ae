"""Working leads in a real browser: keys, ticks, the dialogues, and all of it without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from leads.ingest import leads
from leads.models import BulkJob, Lead, LeadTag
from leads.work import stride
from saas.tenancy import scope
from tests.factories import PASSWORD, make_brand, make_user
from tests.leads.factories import lead_rows, make_campaign

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def brand(live_db: object, web: str) -> Any:
    """Ada's brand with twelve leads, newest first: First11 to First0."""
    brand = make_brand(name="Northwind", owner=make_user(email="ada@example.test", name="Ada"))
    with scope(brand):
        leads.merge(brand_id=brand.pk, campaign_id=make_campaign().pk, rows=list(lead_rows(12)))
    return brand


def log_in(page: Page, address: str, brand: Any) -> None:
    page.goto(f"{address}/accounts/login/")
    page.get_by_label("E-mail address").fill("ada@example.test")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.goto(f"{address}/b/{brand.slug}/leads/")
    page.wait_for_load_state()


def finish(brand: Any) -> BulkJob:
    with scope(brand):
        job: BulkJob = BulkJob.objects.latest("id")
    stride.stride(brand.pk, job.pk)
    with scope(brand):
        job.refresh_from_db()
    return job


def test_leads_are_ticked_tagged_and_walked_by_keys(page: Page, web: str, brand: Any) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    log_in(page, web, brand)
    for key in "jxjjx":
        page.keyboard.press(key)
    expect(page.get_by_text("2 ticked")).to_be_visible()
    expect(page.get_by_label("Tick lead0000011@example.test")).to_be_checked()
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog", name="Change leads")
    expect(dialog.get_by_label("The ticked ones: 2")).to_be_checked()
    dialog.get_by_label("Tag").fill("Hot")
    dialog.get_by_label("Tag").press("Enter")
    expect(page.get_by_role("heading", name="Add the tag “Hot”")).to_be_visible()
    assert finish(brand).changed == 2
    expect(page.get_by_text("2 leads got the tag")).to_be_visible()  # by itself

    page.goto(f"{web}/b/{brand.slug}/leads/?sort=email")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    for key, number in (("j", 0), ("j", 1), ("k", 2), ("", 1)):
        heading = page.get_by_role("heading", name=f"First{number} Last{number}")
        expect(heading).to_be_visible()
        page.wait_for_load_state()  # the keys are heard once the scripts run
        if key:
            page.keyboard.press(key)
    assert complaints == []


def test_deleting_asks_first_and_says_how_many(page: Page, web: str, brand: Any) -> None:
    log_in(page, web, brand)
    page.keyboard.press("e")
    page.get_by_role("dialog", name="Change leads").get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete leads?")
    expect(dialog.get_by_text("all of this list: 12 leads")).to_be_visible()
    dialog.get_by_role("button", name="Keep them").click()
    page.get_by_role("dialog", name="Change leads").get_by_role("button", name="Close").click()
    page.get_by_label("Tick lead0000003@example.test").check()
    page.keyboard.press("e")
    page.get_by_role("dialog", name="Change leads").get_by_role("button", name="Delete").click()
    expect(dialog.get_by_text("the ticked leads: 1")).to_be_visible()
    expect(dialog.get_by_text("all of this list")).to_be_hidden()
    dialog.get_by_role("button", name="Delete them").click()
    expect(page.get_by_role("heading", name="Delete leads")).to_be_visible()
    assert finish(brand).changed == 1
    with scope(brand):
        assert Lead.objects.count() == 11


@pytest.fixture
def plain(browser: Browser) -> Iterator[BrowserContext]:
    """A phone whose browser runs no script."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, java_script_enabled=False
    )
    context.set_default_timeout(15_000)
    yield context
    context.close()


def test_a_phone_without_scripts_does_the_same(plain: BrowserContext, web: str, brand: Any) -> None:
    page = plain.new_page()
    log_in(page, web, brand)
    page.get_by_label("Tick lead0000003@example.test").check()
    page.get_by_label("Tag", exact=True).last.fill("Hot")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("heading", name="Add the tag “Hot”")).to_be_visible()
    assert finish(brand).changed == 1
    with scope(brand):
        assert LeadTag.objects.count() == 1
