"""How PostgreSQL finds leads at 200,000: one partition, an index, and no sorting of the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from django.db import connection, transaction

from leads import search
from leads.models import Lead
from leads.search import Filters
from saas.tenancy import scope
from tests.factories import make_brand, make_user
from tests.leads.factories import make_campaign

pytestmark = pytest.mark.slow
COUNT = 200_000

FILL = """
INSERT INTO leads_lead (brand_id, id, email, first_name, last_name, company, phone, website,
  location, linkedin, company_url, custom, unsubscribed, status, category, replied, joined_at,
  last_activity_at)
SELECT %(brand)s, n, 'lead' || lpad(n::text, 7, '0') || '@example.test', 'First' || n,
  'Last' || n %% 97, 'Company ' || n %% 3001, '', '', '', '', '', '{}', false,
  (ARRAY['STARTED', 'INPROGRESS', 'COMPLETED'])[n %% 3 + 1],
  CASE WHEN n %% 5 = 0 THEN n %% 9 + 1 END, n %% 50 = 0,
  '2026-01-01'::timestamptz + n * interval '1 second',
  '2026-01-01'::timestamptz + n * interval '1 second'
FROM generate_series(1, %(count)s) n"""

PLACE = """
INSERT INTO leads_campaignlead (brand_id, campaign_id, lead_id, status, category, replied,
  joined_at, last_activity_at, history_rank, history_at)
SELECT brand_id, %(campaign)s, id, status, category, replied, joined_at, last_activity_at, 3,
  'epoch'
FROM leads_lead WHERE brand_id = %(brand)s"""


@pytest.fixture(scope="module")
def full(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """A brand with 200,000 leads, inside its scope; none of it is kept.

    Without the first ANALYZE the foreign key's check could run on the plan that this session made
    when the table was empty: a scan of the whole for each row, which takes an hour.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        brand = make_brand(owner=make_user())
        with scope(brand), connection.cursor() as cursor:
            campaign = make_campaign()
            cursor.execute(FILL, {"brand": brand.pk, "count": COUNT})
            cursor.execute("ANALYZE leads_lead")
            cursor.execute(PLACE, {"brand": brand.pk, "campaign": campaign.pk})
            cursor.execute("ANALYZE leads_lead, leads_campaignlead")
            yield brand
        transaction.set_rollback(True)


def plans(monkeypatch: pytest.MonkeyPatch, brand: Any, filters: Filters, **key: Any) -> list[str]:
    """The plan of each query that a page makes."""
    found: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT"):
            with connection.connection.cursor() as raw:
                raw.execute("EXPLAIN " + sql, params)
                found.append("\n".join(row[0] for row in raw.fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        search.page(brand.pk, filters, **key)
    return found


CASES = {
    "all": (Filters(), "last_activity"),
    "status": (Filters(status="STARTED"), "status"),
    "category": (Filters(category=6), "category"),
    "replied": (Filters(replied=True), "last_activity"),
    "days": (Filters(since=date(2026, 1, 2), until=date(2026, 1, 2)), "last_activity"),
    "two": (Filters(status="STARTED", category=6), ""),
}


def test_each_page_walks_one_index_of_one_partition(
    full: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = search.Key(Lead.objects.get(id=COUNT // 2).last_activity_at, COUNT // 2)
    for name, (filters, _) in CASES.items():
        for key in ({}, {"after": later}, {"before": later}):
            [plan] = plans(monkeypatch, full, filters, **key)
            assert len(set(re.findall(r"leads_lead_p?\d+", plan))) <= 1, (name, key, plan)
            assert "Index" in plan, (name, key, plan)
            assert "Seq Scan" not in plan, (name, key, plan)
            assert "Sort" not in plan or "Incremental" in plan or name == "two", (name, key, plan)


def test_a_campaign_walks_its_own_index(full: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from leads.models import Campaign

    filters = Filters(campaign=Campaign.objects.get().pk)
    first, named = plans(monkeypatch, full, filters)
    assert "Sort" not in first
    assert "Seq Scan" not in first + named


def test_words_reach_an_index_under_the_policy(full: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # not "le", which all of them begin with: there the first hits of a plain read are as good
    for words in ("zz", "lead0012345", "first12345"):
        for plan in plans(monkeypatch, full, Filters(q=words)):
            assert "Seq Scan" not in plan, (words, plan)


def test_pages_stay_cheap_however_far(full: Any) -> None:
    """Buffers read, not time: the last page costs what the first costs."""
    near_the_end = search.Key(Lead.objects.get(id=60).last_activity_at, 60)
    first, last = (_buffers(full, after) for after in (None, near_the_end))
    assert last <= first * 3 + 20
    assert first < 500


def _buffers(brand: Any, after: search.Key | None) -> int:
    blocks: list[int] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        with connection.connection.cursor() as raw:
            raw.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql, params)
            top = raw.fetchone()[0][0]["Plan"]
            blocks.append(top["Shared Hit Blocks"] + top["Shared Read Blocks"])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        search.page(brand.pk, Filters(), after=after)
    return sum(blocks)
