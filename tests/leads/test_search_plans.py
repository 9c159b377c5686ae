"""How PostgreSQL finds leads at 1,000,000: what each page and count touches, told by itself.

The worst pairs of filters match nothing: without an index of their own, one of the two is walked
to its end. In this stock nobody who replied is PAUSED or of category 6, nobody who unsubscribed is
STARTED, of category 7 or replied, and category 9 is never PAUSED.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from leads import hits, search
from leads.models import Campaign, Lead, Tag
from leads.search import Filters, Key, Sort
from saas.tenancy import scope
from tests import servers
from tests.factories import make_brand, make_user
from tests.fixtures.database import close_connections
from tests.leads.factories import make_campaign

pytestmark = pytest.mark.slow
COUNT = 1_000_000
NEIGHBOUR = 2_000  # leads of a small brand in the same partition
TOUCHED = 6_000  # rows that a node of a plan may look at: the hits of a search, or a page and some

STOCK = """
INSERT INTO leads_lead (brand_id, id, email, first_name, last_name, company, phone, website,
  location, linkedin, company_url, custom, unsubscribed, status, category, replied, joined_at,
  last_activity_at)
SELECT %(brand)s, %(first)s + n, 'lead' || lpad(n::text, 7, '0') || '@example.test',
  'First' || n %% 1009, 'Last' || n %% 5003, 'Company ' || n %% 3001 || ' Ltd',
  '', '', '', '', '', '{}', n %% 100 = 50 AND n %% 9 <> 6,
  (ARRAY['STARTED', 'INPROGRESS', 'COMPLETED', 'PAUSED'])[n %% 4 + 1],
  CASE WHEN n %% 5 = 0 AND (n %% 4 <> 3 OR n %% 9 <> 8) THEN n %% 9 + 1 END,
  n %% 100 = 0 AND n %% 9 <> 5, at, at
FROM generate_series(1::bigint, %(count)s) n,
  LATERAL (SELECT timestamptz '2026-01-01' + n * interval '1 second') t(at)"""
PLACES = """
INSERT INTO leads_campaignlead (brand_id, campaign_id, lead_id, status, category, replied,
  joined_at, last_activity_at, history_rank, history_at)
SELECT brand_id, %(campaign)s, id, status, category, replied, joined_at, last_activity_at, 3,
  'epoch'
FROM leads_lead WHERE brand_id = %(brand)s AND id %% 5 < 2"""
# Of every 2,000th lead, of every second one, and of the oldest 20,000.
TAGS = {"rare": "id %% 2000 = 0", "common": "id %% 2 = 0", "old": "id <= 20000"}
MARK = """
INSERT INTO leads_leadtag (brand_id, tag_id, lead_id, added_at, last_activity_at)
SELECT brand_id, %(tag)s, id, now(), last_activity_at FROM leads_lead
WHERE brand_id = %(brand)s AND """
# As a superuser, who passes by the keys; the indexes are built after the rows.
UNINDEXED = """
UPDATE pg_index SET indisready = false, indisvalid = false
WHERE indrelid = ANY (%s::regclass[]) AND NOT indisprimary"""
TABLES = ("leads_lead", "leads_campaignlead", "leads_leadtag")
PARTITION = """
SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
WHERE inhparent = 'leads_lead'::regclass AND satisfies_hash_partition(inhparent, 16,
  right(child.relname, 2)::int, %s::bigint)"""


@pytest.fixture(scope="module")
def full(django_test_environment: None, django_db_blocker: Any) -> Iterator[Any]:
    """A brand with COUNT leads, inside its scope, in a database of this module's own."""
    name = f"{os.environ['DATABASE_URL'].rpartition('/')[2]}_plans"
    before = connections.settings["default"]["NAME"]
    with django_db_blocker.unblock():
        close_connections()
        servers.clone(name)
        connections.settings["default"]["NAME"] = name
        try:
            brand = _stocked(name)
            with scope(brand):
                yield brand
        finally:
            close_connections()
            connections.settings["default"]["NAME"] = before
            servers.drop(name)


def _stocked(name: str) -> Any:
    address = os.environ["HARBOR_TEST_SUPERUSER_URL"].rpartition("/")[0] + f"/{name}"
    owner = make_user()
    brand = make_brand(owner=owner)
    with scope(brand):
        campaign = make_campaign()
        tags = {tag: Tag.objects.create(name=tag).pk for tag in TAGS}
    with psycopg.connect(address, autocommit=True) as admin:
        [part] = admin.execute(PARTITION, [brand.pk]).fetchone() or ("",)
        parts = [f"{table}_{part[-3:]}" for table in TABLES]
        admin.execute("SET session_replication_role = replica; SET allow_system_table_mods = on")
        admin.execute("SET maintenance_work_mem = '512MB'; SET max_parallel_workers = 0")
        admin.execute(UNINDEXED, [parts])
        stock = {"brand": brand.pk, "first": 0, "count": COUNT}
        admin.execute(STOCK, stock)
        # Never seen by the scope: a row of another brand, in the same indexes.
        admin.execute(STOCK, stock | {"brand": _beside(admin, part), "first": COUNT,
                                      "count": NEIGHBOUR})  # fmt: skip
        admin.execute(PLACES, {"brand": brand.pk, "campaign": campaign.pk})
        for tag, which in TAGS.items():
            admin.execute(MARK + which, {"brand": brand.pk, "tag": tags[tag]})
        for each in parts:
            admin.execute(f"REINDEX TABLE {each}")
            admin.execute(f"VACUUM ANALYZE {each}")
    return brand


def _beside(admin: psycopg.Connection[Any], part: str) -> int:
    """The id of a brand that would be in the same partition."""
    return next(
        number
        for number in itertools.count(1_000_000)
        if admin.execute(PARTITION, [number]).fetchone() == (part,)
    )


def explained(work: Any) -> list[Any]:
    """The plan of each query that `work` makes, with what it really did."""
    found: list[Any] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        with connection.connection.cursor() as raw:
            raw.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql, params)
            found.append(raw.fetchone()[0][0]["Plan"])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        work()
    return found


def nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def assert_cheap(plan: Any, said: Any, touched: int = TOUCHED) -> None:
    """One partition, an index, and no node that looks at many rows, takes them or leaves them."""
    looked = {node["Relation Name"] for node in nodes(plan) if "Relation Name" in node}
    assert len({name[-2:] for name in looked}) <= 1, (said, looked)
    for node in nodes(plan):
        kind = node["Node Type"]
        removed = sum(rows for key, rows in node.items() if key.startswith("Rows Removed"))
        rows = (node["Actual Rows"] + removed) * node["Actual Loops"]
        assert rows <= touched, (said, rows, json.dumps(plan, indent=1))
        assert kind != "Seq Scan", (said, json.dumps(plan, indent=1))


ALONE = {
    "status": Filters(status="STARTED"),
    "no such status": Filters(status="BLOCKED"),
    "category": Filters(category=6),
    "replied": Filters(replied=True),
    "unsubscribed": Filters(unsubscribed=True),
    "days": Filters(since=date(2026, 1, 2), until=date(2026, 1, 2)),
}
PAIRS = {
    "status, category": Filters(status="STARTED", category=6),
    "status, category: none": Filters(status="PAUSED", category=9),
    "status, replied": Filters(status="STARTED", replied=True),
    "status, replied: none": Filters(status="PAUSED", replied=True),
    "status, unsubscribed": Filters(status="COMPLETED", unsubscribed=True),
    "status, unsubscribed: none": Filters(status="STARTED", unsubscribed=True),
    "category, replied": Filters(category=7, replied=True),
    "category, replied: none": Filters(category=6, replied=True),
    "category, unsubscribed": Filters(category=6, unsubscribed=True),
    "category, unsubscribed: none": Filters(category=7, unsubscribed=True),
    "replied, unsubscribed: none": Filters(replied=True, unsubscribed=True),
}
DAYS: dict[str, Any] = {"since": date(2026, 1, 5), "until": date(2026, 1, 7)}


@pytest.mark.parametrize("name", [*ALONE, *PAIRS])
def test_each_filter_and_each_pair_walks_one_index(full: Any, name: str) -> None:
    """The first page and those around a lead in the middle, with and without days, and the
    count."""
    filters = (ALONE | PAIRS)[name]
    middle = Key(Lead.objects.get(id=COUNT // 2).last_activity_at, COUNT // 2)
    for chosen in (filters, replace(filters, **DAYS)):
        for key in ({}, {"after": middle}, {"before": middle}):
            [plan] = explained(lambda c=chosen, k=key: search.page(full.pk, c, **k))
            assert_cheap(plan, (name, key), touched=60)
        [plan] = explained(lambda c=chosen: search.count(full.pk, c))
        assert_cheap(plan, name, touched=search.COUNTED + 1)
        assert any(node["Node Type"] == "Index Only Scan" for node in nodes(plan)), (name, plan)
    assert search.page(full.pk, filters).rows or "no" in name


PLACED: tuple[dict[str, Any], ...] = (
    {}, {"status": "STARTED"}, {"status": "BLOCKED"}, {"category": 6}, {"category": 99},
    {"replied": True}, {"replied": True, **DAYS}, {"status": "STARTED", **DAYS},
)  # fmt: skip


@pytest.mark.parametrize("more", PLACED, ids=str)
def test_a_campaign_and_a_filter_walk_one_index(full: Any, more: dict[str, Any]) -> None:
    filters = Filters(campaign=Campaign.objects.get().pk, **more)
    first, *named = explained(lambda: search.page(full.pk, filters))
    assert_cheap(first, filters, touched=60)
    for plan in named:
        assert_cheap(plan, filters, touched=60)
    [plan] = explained(lambda: search.count(full.pk, filters))
    assert_cheap(plan, filters, touched=search.COUNTED + 1)


def test_each_order_walks_one_index(full: Any) -> None:
    middle = {Sort.ADDED: COUNT // 2, Sort.EMAIL: f"lead{COUNT // 2:07d}@example.test"}
    campaign = Campaign.objects.get().pk
    for sort, key in middle.items():
        for at in ({}, {"after": key}, {"before": key}):
            for filters in (Filters(), Filters(status="STARTED")):
                [plan] = explained(
                    lambda f=filters, s=sort, a=at: search.page(full.pk, f, sort=s, **a)
                )
                assert_cheap(plan, (sort, at), touched=1000)
    first = explained(lambda: search.page(full.pk, Filters(campaign=campaign), sort=Sort.ADDED))[0]
    assert_cheap(first, "campaign by adding", touched=60)


def test_a_tag_walks_its_own_index_wherever_its_leads_are(full: Any) -> None:
    """Also when all of its leads are old: nothing walks over the rest to reach them."""
    for name in TAGS:
        filters = Filters(tag=Tag.objects.get(name=name).pk)
        for sort in (Sort.ACTIVITY, Sort.ADDED):
            for plan in explained(lambda f=filters, s=sort: search.page(full.pk, f, sort=s)):
                assert_cheap(plan, (name, sort), touched=60)
        for more in (replace(filters, status="STARTED"), replace(filters, replied=True)):
            assert_cheap(explained(lambda m=more: search.page(full.pk, m))[0], (name, more))


WORDS = {
    "nobody's": "zzzq",
    "everybody's": "company",
    "a name of some": "irst77",
    "rare, of letters that all have": "mpany 123 l",
    "rare beside letters that nobody has": "xyz first77",
    "two names that never meet": "first77 last4999",
    "the beginning of an address": "lead0012345",
}


@pytest.mark.parametrize("name", WORDS)
def test_words_are_found_as_by_reading_every_lead(full: Any, name: str) -> None:
    words = WORDS[name]
    found = hits.hits(full.pk, words)
    assert found is not None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM leads_lead WHERE brand_id = %s"
            " AND (position(%s in search) > 0 OR starts_with(email, %s))",
            [full.pk, words, words],
        )
        every = sorted(number for (number,) in cursor.fetchall())
    assert len(found.ids) == min(len(every), hits.FOUND)
    assert found.all == (len(every) < hits.FOUND)
    assert set(found.ids) <= set(every)
    # Behind the cap other filters ask each lead that they let through: right, and not cheap.
    narrowed = [Filters(q=words, status="PAUSED")] if found.all else []
    for filters in (Filters(q=words), *narrowed):
        for plan in explained(lambda f=filters: search.page(full.pk, f, found=found)):
            assert_cheap(plan, (words, filters))


def test_behind_the_cap_leads_are_asked_in_the_order_of_the_page(full: Any) -> None:
    """One lead in 92 has the name: who reads on finds a page soon, and a hundred to count."""
    filters = Filters(q="irst77", status="COMPLETED")
    found = hits.hits(full.pk, filters.q)
    assert found is not None
    assert not found.all
    for work in (search.page, search.count):
        for plan in explained(lambda w=work: w(full.pk, filters, found=found)):
            assert_cheap(plan, work.__name__, touched=4 * 92 * search.COUNTED_EACH)
            assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 40_000


def test_looking_words_up_reads_little_of_the_index(full: Any) -> None:
    """In blocks of 8 kB. The lists of the letters that all leads have are 1,000 and more."""
    for words, most in (("company", 4000), ("zzzq", 4000), ("mpany 123 l", 8000)):
        [begin, parts] = explained(lambda w=words: hits.hits(full.pk, w))
        assert begin["Shared Hit Blocks"] + begin["Shared Read Blocks"] < 100, words
        assert parts["Shared Hit Blocks"] + parts["Shared Read Blocks"] < most, words


def test_pages_stay_cheap_however_far(full: Any) -> None:
    """Buffers read, not time: the last page costs what the first costs."""
    near_the_end = Key(Lead.objects.get(id=60).last_activity_at, 60)
    first, last = (
        sum(
            plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            for plan in explained(lambda a=after: search.page(full.pk, Filters(), after=a))
        )
        for after in (None, near_the_end)
    )
    assert last <= first * 3 + 20
    assert first < 500
