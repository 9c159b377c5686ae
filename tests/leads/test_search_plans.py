"""How PostgreSQL finds leads at 200,000: one partition, an index, and no sorting of the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from django.db import connection, transaction

from leads import search
from leads.models import Lead, Tag
from leads.search import Filters, Sort
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
  'Last' || n %% 97, 'Company ' || n %% 3001, '', '', '', '', '', '{}', n %% 100 = 0,
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


# Of every 2,000th lead, of every second one, and of the oldest 20,000.
TAGS = {"rare": "id %% 2000 = 0", "common": "id %% 2 = 0", "old": "id <= 20000"}
MARK = """
INSERT INTO leads_leadtag (brand_id, tag_id, lead_id, added_at, last_activity_at)
SELECT brand_id, %(tag)s, id, now(), last_activity_at FROM leads_lead
WHERE brand_id = %(brand)s AND """


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
            for name, which in TAGS.items():
                tag = Tag.objects.create(name=name)
                cursor.execute(MARK + which, {"brand": brand.pk, "tag": tag.pk})
            cursor.execute("ANALYZE leads_lead, leads_campaignlead, leads_leadtag")
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
    "unsubscribed": (Filters(unsubscribed=True), "last_activity"),
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


SORTED = {Sort.ADDED: "_pkey", Sort.EMAIL: "_email_idx|_brand_id_email"}


def test_each_order_walks_one_index(full: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    middle = {Sort.ADDED: COUNT // 2, Sort.EMAIL: f"lead{COUNT // 2:07d}@example.test"}
    for sort, index in SORTED.items():
        for key in ({}, {"after": middle[sort]}, {"before": middle[sort]}):
            for filters in (Filters(), Filters(status="STARTED")):
                [plan] = plans(monkeypatch, full, filters, sort=sort, **key)
                assert re.search(f"Index Scan.*leads_lead_p\\d+({index})", plan), (sort, key, plan)
                assert "Sort" not in plan, (sort, key, plan)
                assert "Seq Scan" not in plan, (sort, key, plan)


def test_a_campaign_in_the_order_of_adding_walks_its_key(
    full: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leads.models import Campaign

    filters = Filters(campaign=Campaign.objects.get().pk)
    first = plans(monkeypatch, full, filters, sort=Sort.ADDED)[0]
    assert re.search(r"Index Scan.*leads_campaignlead_p\d+", first), first
    assert "Sort" not in first
    by_email = plans(monkeypatch, full, filters, sort=Sort.EMAIL)[0]
    assert "Seq Scan" not in by_email, by_email


def test_who_unsubscribed_is_a_walk_of_the_index_made_for_it(
    full: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    [plan] = plans(monkeypatch, full, Filters(unsubscribed=True))
    assert "lead_unsubscribed" in plan
    assert "Filter" not in plan.replace("One-Time Filter", "")


def test_a_tag_walks_its_own_index_wherever_its_leads_are(
    full: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when all of its leads are old: nothing walks over the rest to reach them."""
    for name in TAGS:
        filters = Filters(tag=Tag.objects.get(name=name).pk)
        for sort, index in ((Sort.ACTIVITY, "_tag_id_last_activity"), (Sort.ADDED, "_pkey")):
            first, named = plans(monkeypatch, full, filters, sort=sort)
            assert re.search(rf"Index.* Scan.*leads_leadtag_p\d+.*{index}", first), (name, first)
            assert "Sort" not in first, (name, first)
            assert "Seq Scan" not in first + named, (name, first)
        assert _buffers(full, None, filters) < 500
        for more in (replace(filters, status="STARTED"), replace(filters, replied=True)):
            assert "Seq Scan on leads_lead_" not in plans(monkeypatch, full, more)[0], name


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


def _buffers(brand: Any, after: search.Key | None, filters: Filters = Filters()) -> int:  # noqa: B008
    blocks: list[int] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        with connection.connection.cursor() as raw:
            raw.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql, params)
            top = raw.fetchone()[0][0]["Plan"]
            blocks.append(top["Shared Hit Blocks"] + top["Shared Read Blocks"])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        search.page(brand.pk, filters, after=after)
    return sum(blocks)
