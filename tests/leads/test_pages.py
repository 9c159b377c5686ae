"""The pages of leads over HTTP: what a person sees, may do, and is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from leads import connections
from leads.ingest import leads, messages
from leads.ingest.rows import Thread
from leads.models import Backfill, Campaign, Connection, Lead
from saas.tenancy import scope
from tests.leads.conftest import Account
from tests.leads.factories import JOINED, lead_row, lead_rows, make_campaign, message_row

Make = Callable[[str], Account]
Login = Callable[[Any], Client]


@pytest.fixture
def web(client_for: Login, owner: Any) -> Client:
    return client_for(owner)


def url(brand: Any, path: str) -> str:
    return f"/b/{brand.slug}/{path}"


@pytest.fixture
def stocked(brand: Any) -> Any:
    """A brand with two campaigns, 120 leads, and one thread."""
    with scope(brand):
        first = make_campaign(name="Spring")
        second = make_campaign(name="Autumn")
        rows = list(lead_rows(120))
        leads.merge(brand_id=brand.pk, campaign_id=first.pk, rows=rows)
        leads.merge(brand_id=brand.pk, campaign_id=second.pk, rows=rows[:3])
        lead = Lead.objects.get(email=rows[5].email)
        thread = Thread(
            lead.id,
            (
                message_row(1),
                message_row(2, direction="reply", body=HOSTILE, step=None),
            ),
        )
        messages.merge(brand_id=brand.pk, campaign_id=first.pk, threads=[thread], fetched_at=JOINED)
    return brand


HOSTILE = (
    '<script>alert(1)</script><img src=x onerror="alert(2)"><a href="javascript:alert(3)">Yes'
    "</a><style>*{display:none}</style> &lt;script&gt;alert(4)&lt;/script&gt; <b>please</b>"
)


def test_an_empty_list_teaches_the_next_step(web: Client, brand: Any) -> None:
    page = web.get(url(brand, "leads/")).content.decode()
    assert "No leads yet" in page
    assert url(brand, "connection/") in page


def test_a_key_is_checked_saved_sealed_and_never_shown(
    web: Client, brand: Any, sandbox: Any
) -> None:
    key = "sl_pages_40_2_r0"
    answer = web.post(url(brand, "connection/"), {"api_key": f" {key} "})
    assert answer.status_code == 302
    with scope(brand):
        connection = Connection.objects.get()
        assert (connection.state, connection.key_hint) == ("working", key[-4:])
        assert connection.api_key.reveal() == key
        assert Campaign.objects.count() == 2
    for path in ("connection/", "backfills/", "leads/", ""):
        page = web.get(url(brand, path)).content.decode()
        assert key not in page
    assert f"…{key[-4:]}" in web.get(url(brand, "connection/")).content.decode()


def test_a_wrong_key_says_so_and_changes_nothing(web: Client, brand: Any, sandbox: Any) -> None:
    answer = web.post(url(brand, "connection/"), {"api_key": "not-a-key-of-anybody"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "SmartLead does not accept this API key" in page
    assert "not-a-key-of-anybody" not in page
    with scope(brand):
        assert not Connection.objects.exists()


def test_a_silent_smartlead_says_so(web: Client, brand: Any, sandbox: Any) -> None:
    sandbox.control("smartlead", "faults", {"kind": "524", "delay": 0})
    page = web.post(url(brand, "connection/"), {"api_key": "sl_x_1"}).content.decode()
    assert "We couldn&#x27;t reach SmartLead" in page


def test_from_plan_to_finish_in_the_browser(web: Client, account: Make) -> None:
    a = account("sl_walk_60_2_r0")
    answer = web.post(url(a.brand, "backfills/plan/"))
    run = a.run()
    assert answer.headers["Location"] == url(a.brand, f"backfills/{run.pk}/")
    plan = web.get(answer.headers["Location"]).content.decode()
    assert "Start it" in plan
    assert (run.planned_campaigns, run.planned_leads, run.plan_is_exact) == (2, 60, True)
    assert run.planned_calls == 60 + 2 + 1
    web.post(url(a.brand, f"backfills/{run.pk}/start/"))
    assert "Pause" in web.get(url(a.brand, f"backfills/{run.pk}/")).content.decode()
    web.post(url(a.brand, f"backfills/{run.pk}/pause/"))
    assert a.run().state == "paused"
    web.post(url(a.brand, f"backfills/{run.pk}/resume/"))
    a.drive()
    live = web.get(url(a.brand, f"backfills/{run.pk}/"), headers={"HX-Request": "true"})
    page = live.content.decode()
    assert "Finished" in page
    assert "hx-trigger" not in page
    assert "<html" not in page
    assert "Plan a backfill" in web.get(url(a.brand, "backfills/")).content.decode()


def test_one_backfill_at_a_time(web: Client, account: Make) -> None:
    a = account("sl_one_20_1_r0")
    a.start()
    answer = web.post(url(a.brand, "backfills/plan/"), follow=True)
    assert "A backfill is under way already" in answer.content.decode()
    web.post(url(a.brand, f"backfills/{a.run().pk}/cancel/"))
    with scope(a.brand):
        assert list(Backfill.objects.values_list("state", flat=True)) == ["cancelled"]
    late = web.post(url(a.brand, f"backfills/{a.run().pk}/resume/"), follow=True)
    assert "This backfill is cancelled" in late.content.decode()


def emails(web: Client, brand: Any, query: str = "") -> list[str]:
    rows = web.get(url(brand, f"leads/{query}")).context["rows"]
    return [row["lead"].email for row in rows]


def test_the_list_asks_little_and_looks_words_up_once(web: Client, stocked: Any) -> None:
    web.get(url(stocked, "leads/"))
    for query, most in (("", 13), ("?q=company&since=2020-01-01", 16)):
        with CaptureQueriesContext(connection) as asked:
            assert web.get(url(stocked, f"leads/{query}")).status_code == 200
        said = [each["sql"] for each in asked.captured_queries if " FROM " in each["sql"]]
        assert len(said) <= most, said
        assert sum("leads_find" in sql for sql in said) == bool(query)
        assert not any('"custom"' in sql for sql in said), said


def test_the_list_pages_by_key_both_ways(web: Client, stocked: Any) -> None:
    expected = [lead_row(5).email] + [lead_row(n).email for n in range(119, -1, -1) if n != 5]
    first = web.get(url(stocked, "leads/"))
    second = web.get(url(stocked, f"leads/{first.context['next_url']}"))
    third = web.get(url(stocked, f"leads/{second.context['next_url']}"))
    pages = [[row["lead"].email for row in page.context["rows"]] for page in (first, second, third)]
    assert [email for rows in pages for email in rows] == expected
    assert (first.context["prev_url"], third.context["next_url"]) == ("", "")
    back = web.get(url(stocked, f"leads/{third.context['prev_url']}"))
    assert [row["lead"].email for row in back.context["rows"]] == pages[1]
    assert first.context["count"] == "120 leads"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?until=9999-12-31", 120),
        ("?since=0001-01-01", 120),
        ("?status=STARTED", 40),
        ("?category=1", 3),
        ("?replied=1", 1),
        ("?replied=1&status=STARTED", 0),
        ("?q=lead000001", 10),
        ("?q=LEAD0000011@", 1),
        ("?q=first77", 1),
        ("?q=mpany 30", 3),
        ("?q=%25", 0),
        ("?q=fi", 0),
        ("?since=2026-01-02", 1),
        ("?until=2025-12-31", 0),
        ("?status=nonsense&category=x&since=tomorrow", 120),
        ("?q=a%00b", 0),
        ("?q=%00", 120),
        ("?q=%ff%fe", 0),
        ("?q=" + "x" * 500, 120),
        ("?campaign=99999999999999999999", 120),
    ],
)
def test_filters_and_search(web: Client, stocked: Any, query: str, count: int) -> None:
    answer = web.get(url(stocked, f"leads/{query}"))
    noun = f"{count} lead{'' if count == 1 else 's'}"
    assert answer.context["count"] == noun
    if not count:
        assert "Nothing found" in answer.content.decode()


@pytest.mark.parametrize(
    "query",
    ["after=x", "after=", "before=1-", "after=1-2-3", "before=-", "after=%00", "after=1-1",
     "before=999999999999999999-1", f"before={10**17}-1", "after=-62135596800000000-1"],
)  # fmt: skip
def test_a_place_that_is_no_place_is_the_first_page(web: Client, stocked: Any, query: str) -> None:
    answer = web.get(url(stocked, f"leads/?{query}"))
    assert next(row["lead"].email for row in answer.context["rows"]) == lead_row(5).email
    assert len(answer.context["rows"]) == 50
    assert answer.context["prev_url"] == ""


def test_filters_stay_while_paging(web: Client, stocked: Any) -> None:
    first = web.get(url(stocked, "leads/?q=lead&status=nonsense"))
    second = web.get(url(stocked, f"leads/{first.context['next_url']}"))
    assert second.context["filters"] == first.context["filters"]
    assert 'value="lead"' in second.content.decode()
    assert len(second.context["rows"]) == 50


def test_a_category_is_named_or_numbered(web: Client, stocked: Any) -> None:
    with scope(stocked):
        Lead.objects.filter(email=lead_row(119).email).update(category=4_000_001)
        newest = Lead.objects.get(email=lead_row(119).email)
    rows = web.get(url(stocked, "leads/")).context["rows"]
    shown = {row["lead"].email: row["category"] for row in rows}
    assert shown[lead_row(119).email] == "Category 4000001"
    assert shown[lead_row(115).email] == "Uncategorizable"
    assert shown[lead_row(118).email] is None
    detail = web.get(url(stocked, f"leads/{newest.id}/")).content.decode()
    assert "Category 4000001" in detail


def test_a_campaign_shows_its_own_leads(web: Client, stocked: Any) -> None:
    with scope(stocked):
        autumn = Campaign.objects.get(name="Autumn")
    assert emails(web, stocked, f"?campaign={autumn.pk}") == [lead_row(n).email for n in (2, 1, 0)]
    assert emails(web, stocked, f"?campaign={autumn.pk}&q=first1") == [lead_row(1).email]


def test_a_thread_is_text_whatever_the_mail_holds(web: Client, stocked: Any) -> None:
    with scope(stocked):
        lead = Lead.objects.get(email=lead_row(5).email)
    page = web.get(url(stocked, f"leads/{lead.id}/")).content.decode()
    assert "please" in page
    assert "&lt;script&gt;alert(4)&lt;/script&gt;" in page
    for harm in ("alert(1)", "onerror", "javascript:alert(3)", "display:none", "<script>alert"):
        assert harm not in page


def test_a_long_thread_is_read_page_by_page(web: Client, stocked: Any) -> None:
    with scope(stocked):
        lead = Lead.objects.get(email=lead_row(9).email)
        campaign = Campaign.objects.get(name="Spring")
        rows = tuple(message_row(n, body=f"<p>number {n}.</p>") for n in range(130))
        messages.merge(
            brand_id=stocked.pk,
            campaign_id=campaign.pk,
            threads=[Thread(lead.id, rows)],
            fetched_at=JOINED,
        )
    answer = web.get(url(stocked, f"leads/{lead.id}/"))
    shown = [entry["text"] for entry in answer.context["thread"]]
    assert shown == [f"number {n}." for n in range(129, 29, -1)]
    older = web.get(url(stocked, f"leads/{lead.id}/"), {"until_entry": answer.context["older"]})
    rest = [entry.get("text", entry["kind"]) for entry in older.context["thread"]]
    assert rest == [*[f"number {n}." for n in range(29, 0, -1)], "joined", "number 0."]
    assert older.context["older"] == ""


def test_what_smartlead_says_of_a_lead_is_text_too(web: Client, stocked: Any) -> None:
    evil = '"><script>alert(1)</script>'
    row = lead_row(
        500, first_name=evil, company=evil, website="javascript:alert(2)",
        linkedin='https://x.example/"onclick="alert(3)', custom=json.dumps({evil: [evil]}),
    )  # fmt: skip
    with scope(stocked):
        campaign = make_campaign(name=evil)
        leads.merge(brand_id=stocked.pk, campaign_id=campaign.pk, rows=[row])
        lead = Lead.objects.get(email=row.email)
    for path in ("leads/", f"leads/?campaign={campaign.pk}", f"leads/{lead.id}/"):
        page = web.get(url(stocked, path)).content.decode()
        assert "<script>alert" not in page
        assert 'href="javascript' not in page
        assert '"onclick="' not in page


def test_a_lead_s_own_fields_are_named_as_words(web: Client, stocked: Any) -> None:
    row = lead_row(600, custom=json.dumps({"job_title": "CFO", "ARR (USD)": 5, "empty": None}))
    with scope(stocked):
        campaign = Campaign.objects.get(name="Spring")
        leads.merge(brand_id=stocked.pk, campaign_id=campaign.pk, rows=[row])
        lead = Lead.objects.get(email=row.email)
    facts = web.get(url(stocked, f"leads/{lead.id}/")).context["facts"]
    assert facts[1:] == [("ARR (USD)", "5", ""), ("Job title", "CFO", "")]


@pytest.mark.parametrize("pk", [1, 2**63, 10**30])
def test_a_lead_that_is_not_there(web: Client, brand: Any, pk: int) -> None:
    assert web.get(url(brand, f"leads/{pk}/")).status_code == 404
    assert web.get(url(brand, f"backfills/{pk}/")).status_code == 404


def test_disconnecting_forgets_the_key_and_keeps_the_leads(
    web: Client, stocked: Any, owner: Any
) -> None:
    web.post(url(stocked, "connection/disconnect/"))
    with scope(stocked):
        connection = connections.current()
        assert connection is not None
        assert (connection.state, bool(connection.api_key)) == ("disconnected", False)
        assert Lead.objects.count() == 120
    assert "Check and connect" in web.get(url(stocked, "connection/")).content.decode()
