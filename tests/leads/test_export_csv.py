"""The export: what the list shows, as CSV that streams, is safe to open, and can be imported."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Membership
from leads import hits, search
from leads.files import export
from leads.ingest import leads
from leads.ingest.csvtext import safe, unsafe
from leads.ingest.rows import LeadRow
from leads.models import Campaign, Category, Lead
from leads.search import Filters
from leads.work import tags
from saas.tenancy import in_scope, scope
from tests.factories import make_brand, make_user
from tests.leads.factories import JOINED, lead_row, lead_rows, make_campaign
from tests.leads.test_import import Desk

Login = Callable[[Any], Client]


@pytest.fixture
def stocked(brand: Any) -> Any:
    with scope(brand):
        first, second = make_campaign(name="Spring"), make_campaign(name="Autumn")
        rows = [lead_row(n, replied=n % 7 == 0) for n in range(130)]
        leads.merge(brand_id=brand.pk, campaign_id=first.pk, rows=rows)
        late = [lead_row(n, status="PAUSED", category=3, replied=n < 2) for n in range(5)]
        leads.merge(brand_id=brand.pk, campaign_id=second.pk, rows=late)
    return brand


def read(chunks: Any) -> list[dict[str, str]]:
    text = b"".join(chunks).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_the_export_works_where_django_watches_its_statements(stocked: Any, settings: Any) -> None:
    """As under `make run`: DEBUG wraps each cursor, which then knows no COPY with parameters."""
    settings.DEBUG = True
    connection.force_debug_cursor = True
    try:
        assert len(read(export.stream(stocked.pk, Filters(q="lead")))) == 130
    finally:
        connection.force_debug_cursor = False


def test_all_hits_of_words_leave_however_many(
    stocked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hits, "FOUND", 7)
    assert len(read(export.stream(stocked.pk, Filters(q="company")))) == 130


def listed(brand: Any, filters: Filters) -> list[search.Row]:
    """All pages of the list."""
    found: list[search.Row] = []
    after = None
    with scope(brand):
        while True:
            page = search.page(brand.pk, filters, after=after)
            found += page.rows
            after = page.after
            if after is None:
                return found


FILTERS: dict[str, Callable[[Any], Filters]] = {
    "none": lambda _: Filters(),
    "words": lambda _: Filters(q="lead00000"),
    "part of a company": lambda _: Filters(q="pany 12"),
    "nothing found": lambda _: Filters(q="zzzz"),
    "campaign": lambda c: Filters(campaign=c),
    "campaign and status": lambda c: Filters(campaign=c, status="PAUSED"),
    "campaign and words": lambda c: Filters(campaign=c, q="lead0000001"),
    "status": lambda _: Filters(status="INPROGRESS"),
    "category": lambda _: Filters(category=1),
    "replied": lambda _: Filters(replied=True),
    "dates": lambda _: Filters(since=date(2026, 1, 1), until=date(2026, 1, 1)),
    "all at once": lambda c: Filters("pany", c, "PAUSED", 3, True, date(2025, 1, 1), None),
}


@pytest.mark.parametrize("page", [3, 10_000])
@pytest.mark.parametrize("name", FILTERS)
def test_the_export_is_what_the_list_shows(
    stocked: Any, monkeypatch: pytest.MonkeyPatch, name: str, page: int
) -> None:
    monkeypatch.setattr(export, "FIRST", page)
    monkeypatch.setattr(export, "MOST", page)
    with scope(stocked):
        campaign = Campaign.objects.get(name="Autumn").pk
    filters = FILTERS[name](campaign)
    words = {"STARTED": "Not mailed yet", "INPROGRESS": "In progress", "COMPLETED": "Completed",
             "PAUSED": "Paused"}  # fmt: skip
    exported = [
        (row["Email"], row["Company"], row["Status"], row["Replied"] == "yes",
         f"{row['Last activity (UTC)']}+00:00")
        for row in read(export.stream(stocked.pk, filters))
    ]  # fmt: skip
    shown = [
        (row.email, row.company, words[row.status], row.replied, str(row.at))
        for row in sorted(listed(stocked, filters), key=lambda row: row.id)
    ]
    assert exported == shown
    assert bool(shown) is (name != "nothing found")


@pytest.mark.parametrize("status", ["", "PAUSED"])
def test_the_export_of_a_tag_is_the_list_of_it(stocked: Any, owner: Any, status: str) -> None:
    with scope(stocked):
        tag = tags.named(stocked.pk, "VIP", actor=owner)
        for lead in Lead.objects.filter(brand_id=stocked.pk, id__gt=0).order_by("id")[:9]:
            tags.add(stocked.pk, lead.id, tag, actor=owner)
    filters = Filters(tag=tag.pk, status=status)
    shown = {row.email for row in listed(stocked, filters)}
    assert {row["Email"] for row in read(export.stream(stocked.pk, filters))} == shown
    assert len(shown) == (5 if status else 9)


def test_the_page_offers_it_and_it_is_audited(client_for: Login, stocked: Any, owner: Any) -> None:
    client = client_for(owner)
    here = f"/b/{stocked.slug}/leads/"
    page = client.get(f"{here}?status=STARTED").content.decode()
    assert f'href="{here}export/?status=STARTED"' in page
    answer = client.get(f"{here}export/?status=STARTED")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith(f'attachment; filename="{stocked.slug}-leads-')
    assert len(read(answer.streaming_content)) == 42
    [entry] = LogEntry.objects.filter(additional_data__event="leads.exported")
    assert (entry.actor, entry.additional_data["reason"]) == (owner, "status=STARTED")


def test_a_viewer_sees_leads_and_takes_none_along(client_for: Login, stocked: Any) -> None:
    viewer = make_user()
    with scope(stocked):
        Membership.objects.create(user=viewer, role="viewer")
    client = client_for(viewer)
    page = client.get(f"/b/{stocked.slug}/leads/")
    assert page.status_code == 200
    assert "/export/" not in page.content.decode()
    assert client.get(f"/b/{stocked.slug}/leads/export/").status_code == 403


def test_it_starts_before_any_lead_is_read_and_keeps_nothing_open(
    stocked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "FIRST", 50)
    lines = export.stream(stocked.pk, Filters())
    with connection.execute_wrapper(lambda *_: pytest.fail("it asked the database")):
        assert next(lines).startswith(b"\xef\xbb\xbfEmail,First name,")
    assert next(lines).count(b"\n") == 50
    assert not in_scope()
    lines.close()  # the download broke off


def test_leads_that_become_active_meanwhile_are_neither_lost_nor_doubled(
    stocked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "FIRST", 50)
    lines = export.stream(stocked.pk, Filters())
    begun = list(itertools.islice(lines, 2))
    with scope(stocked):
        Lead.objects.filter(brand_id=stocked.pk).update(last_activity_at="2026-11-11T00:00Z")
    emails = [row["Email"] for row in read([*begun, *lines])]
    assert emails == [row.email for row in lead_rows(130)]


def test_a_brand_without_leads_gets_the_names_of_the_columns(brand: Any) -> None:
    text = b"".join(export.stream(brand.pk, Filters())).decode("utf-8-sig")
    assert text.count("\n") == 1
    assert text.startswith("Email,")


def test_another_brands_campaign_exports_nothing(stocked: Any) -> None:
    with scope(stocked):
        campaign = Campaign.objects.first()
    assert campaign
    assert read(export.stream(make_brand().pk, Filters(campaign=campaign.pk))) == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'=", "''@"])
def test_no_cell_is_a_formula(client_for: Login, brand: Any, owner: Any, start: str) -> None:
    evil = f'{start}HYPERLINK("http://evil.example","x")'
    row = LeadRow("+a@example.test", JOINED, first_name=evil, company=evil, status=evil[:40],
                  category=77, custom=json.dumps({evil: evil}))  # fmt: skip
    with scope(brand):
        leads.merge(brand_id=brand.pk, rows=[row])
        Category.objects.create(remote_id=77, name=evil)
    [found] = read(export.stream(brand.pk, Filters()))
    assert [cell for cell in found.values() if cell[:1] in tuple("=+-@\t\r")] == []
    assert found["First name"] == f"'{evil}"
    assert found["Email"] == "'+a@example.test"
    assert json.loads(found["Custom fields"]) == {evil: evil}
    desk = Desk(client_for(owner), brand)  # and the file of rejected rows
    text = io.StringIO()
    csv.writer(text).writerows([["email", evil], ["nobody", evil]])
    desk.upload(text.getvalue())
    desk.check(["email", "own"])
    header, left_out = desk.rejected()
    assert header[2:] == ["email", safe(evil.strip())]
    assert left_out[2:] == ["nobody", safe(evil)]


@given(st.text("'=+-@\t\rab", max_size=6))
def test_safe_is_safe_and_unsafe_undoes_it(text: str) -> None:
    assert safe(text)[:1] not in tuple("=+-@\t\r")
    assert unsafe(safe(text)) == text


# --- There and back -----------------------------------------------------------------------------

# What the ingest can hold: no NUL, no half of a pair, no spaces around.
TEXT = st.text(
    st.one_of(st.sampled_from("'=+-@,;\"\n\\ .é"), st.characters(exclude_categories=["Cs"])),
    max_size=20,
).map(lambda text: text.replace("\x00", "").strip())
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
EMAILS = st.from_regex(r"[a-z0-9'+=\-]{1,8}@[a-z]{1,5}\.example", fullmatch=True)
LEADS = st.lists(
    st.builds(
        LeadRow,
        email=EMAILS,
        joined_at=st.just(JOINED),
        **dict.fromkeys(
            ("first_name", "last_name", "company", "phone", "website", "location", "linkedin",
             "company_url"), TEXT
        ),
        custom=st.dictionaries(TEXT, VALUE, max_size=4).map(
            lambda fields: json.dumps(fields, ensure_ascii=False)
        ),
        unsubscribed=st.booleans(),
        status=st.sampled_from(["", "STARTED", "=1"]),
        replied=st.booleans(),
    ),
    min_size=1, max_size=8, unique_by=lambda row: row.email,
)  # fmt: skip
SAME = (
    "email", "first_name", "last_name", "company", "phone", "website", "location", "linkedin",
    "company_url", "custom", "unsubscribed",
)  # fmt: skip


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(rows=LEADS)
def test_what_is_exported_and_imported_elsewhere_is_the_same_leads(
    db: None, client_for: Login, rows: list[LeadRow]
) -> None:
    source, owner = make_brand(), make_user()
    target = Desk(client_for(owner), make_brand(owner=owner))
    with scope(source):
        leads.merge(brand_id=source.pk, rows=rows)
        before = sorted(Lead.objects.values_list(*SAME))
    done = target.take_in(b"".join(export.stream(source.pk, Filters())))
    assert (done.leads_new, done.bad) == (len(rows), 0), target.rejected()
    with scope(target.brand):
        assert sorted(Lead.objects.values_list(*SAME)) == before


def test_wide_leads_make_small_pages(brand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "FIRST", 10)
    monkeypatch.setattr(export, "BYTES", 3_000)
    with scope(brand):
        rows = [lead_row(n, custom=json.dumps({"note": "x" * 1_000})) for n in range(40)]
        leads.merge(brand_id=brand.pk, rows=rows)
    pages = [page.count(b"\n") for page in export.stream(brand.pk, Filters())]
    assert pages == [1, 10, *[2] * 15]
