"""How fast the list of leads answers in a large brand beside others: the whole response, view,
queries and template, under row-level security, by Django's client in this process.

HARBOR_BENCH_LEADS sets the brand's leads (1,000,000; the figures of docs/performance.md say which).
Held against what was promised for each page, and against the least a page of ours takes: the team.
"""

from __future__ import annotations

import os
import time
from typing import Any

import psycopg

from tests.bench import crowd, stock
from tests.bench.result import Result

LEADS = int(os.environ.get("HARBOR_BENCH_LEADS", "1000000"))
OTHERS, OTHERS_LEADS = 50, 2_000
TIMES = 40
DEEP = 1000  # pages
PROMISED_MS, PROMISED_SEARCH_MS = 30.0, 200.0

KEY = """
SELECT (extract(epoch FROM last_activity_at) * 1000000)::bigint || '-' || id FROM leads_lead
WHERE brand_id = %s ORDER BY last_activity_at DESC, id DESC OFFSET %s LIMIT 1"""


def run() -> Result:
    with crowd.database() as superuser:
        brand_id, campaign_id, _ = crowd.brand()
        with psycopg.connect(superuser, autocommit=True) as admin:
            key = _fill(admin, brand_id, campaign_id)
        measured = _measure(brand_id, campaign_id, key)
    medians = {f"median ms: {name}": half for name, (half, _) in measured.items()}
    p95 = {name: slow for name, (_, slow) in measured.items()}
    least = p95.pop("team")
    pages = max(ms for name, ms in p95.items() if not name.startswith("search"))
    found = max(ms for name, ms in p95.items() if name.startswith("search"))
    return Result(
        bench="leads_page",
        figures={
            "leads": LEADS,
            **medians,
            **{f"p95 ms: {name}": ms for name, ms in p95.items()},
        },
        limit={
            "p95 ms: team page": least,
            "promised_ms": PROMISED_MS,
            "promised_search_ms": PROMISED_SEARCH_MS,
        },
        ratios={
            "promised_to_slowest_page": PROMISED_MS / pages,
            "promised_to_slowest_search": PROMISED_SEARCH_MS / found,
        },
        reach={"promised_to_slowest_page": 1.0, "promised_to_slowest_search": 1.0},
    )


def _fill(admin: psycopg.Connection[Any], brand_id: int, campaign_id: int) -> str:
    """Fill the brand and the others; return the key of the page DEEP."""
    for _ in range(OTHERS):
        other = crowd.brand()
        stock.fill(admin, other[0], other[1], OTHERS_LEADS)
    stock.fill(admin, brand_id, campaign_id, LEADS)
    row = admin.execute(KEY, [brand_id, min(DEEP * 50, LEADS // 2)]).fetchone()
    return str(row[0]) if row else ""


def _measure(brand_id: int, campaign_id: int, key: str) -> dict[str, tuple[float, float]]:
    """The median and the 95th percentile of each page, in milliseconds, by name."""
    from django.test import Client

    from accounts.models import Membership
    from saas.tenancy import scope

    with scope(brand_id):
        place = Membership.objects.select_related("brand", "user").get()
        slug, owner = place.brand.slug, place.user
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    queries = {
        "first page": "",
        f"page {DEEP}": f"after={key}",
        "status": "status=COMPLETED",
        "category": "category=6",
        "replied": "replied=1",
        "days": "since=2025-01-10&until=2025-01-12",
        "campaign": f"campaign={campaign_id}",
        "unsubscribed": "unsubscribed=1",
        "status and category": "status=COMPLETED&category=6",
        "replied and category": "replied=1&category=6",
        "replied and status: none": "replied=1&status=PAUSED",
        "unsubscribed and replied: none": "unsubscribed=1&replied=1",
        "campaign and status": f"campaign={campaign_id}&status=STARTED",
        "campaign and status: none": f"campaign={campaign_id}&status=PAUSED",
        "campaign and category": f"campaign={campaign_id}&category=6",
        "campaign and replied": f"campaign={campaign_id}&replied=1",
        "e-mail prefix": "q=lead000123",
        "search by part of a name": "q=irst77",
        "search by part of a company": "q=mpany+123",
        "search by everybody's word": "q=company",
        "search by nobody's": "q=xyz+first77",
        "search by a part, and status": "q=irst77&status=COMPLETED",
    }
    paths = {name: f"/b/{slug}/leads/?{query}" for name, query in queries.items()}
    return {
        name: _timed(client, path) for name, path in {"team": f"/b/{slug}/team/", **paths}.items()
    }


def _timed(client: Any, path: str) -> tuple[float, float]:
    taken = []
    for _ in range(TIMES + 3):
        began = time.perf_counter()
        answer = client.get(path)
        taken.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")
    taken = sorted(taken[3:])
    return taken[TIMES // 2], taken[int(TIMES * 0.95) - 1]
