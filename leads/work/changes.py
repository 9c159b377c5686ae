"""One change of some leads, with what the timeline and the undo need, in SQL.

Call inside the brand's scope, in one transaction with whatever counts the change. Leads that are
not there (any more), or are so already, are passed over.
"""

# ruff: noqa: S608 - the pieces are constants of ours; what varies is a parameter

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from leads.ingest.leads import hold_ingest
from leads.ingest.staging import run
from leads.ingest.suppressed import DIGEST
from leads.models import BulkJob

What = BulkJob.What

# The rows' newest versions, held: a tag copies the lead's activity, which an ingest may be moving.
LOCK = """
SELECT id FROM leads_lead WHERE brand_id = %(brand)s AND id = ANY(%(leads)s)
ORDER BY id FOR NO KEY UPDATE"""

NOTED = "INSERT INTO leads_leadchange (brand_id, lead_id, kind, actor_id, job_id, at, {columns})"
COMMON = "%(actor_id)s::bigint, %(job_id)s::bigint, %(at)s::timestamptz"
OTHER = "(l.category_set_at IS NULL OR l.category IS DISTINCT FROM %(category)s::bigint)"
CATEGORY = (
    f"""
{NOTED.format(columns="category, was")}
SELECT l.brand_id, l.id, 'category', {COMMON}, %(category)s::bigint,
  jsonb_build_object('category', l.category, 'set_at', l.category_set_at, 'places', (
    SELECT coalesce(jsonb_object_agg(c.campaign_id, c.category), '{{}}'::jsonb)
    FROM leads_campaignlead c WHERE c.brand_id = %(brand)s AND c.lead_id = l.id
      AND c.category IS DISTINCT FROM %(category)s::bigint))
FROM leads_lead l WHERE l.brand_id = %(brand)s AND l.id = ANY(%(leads)s) AND {OTHER}""",
    """
UPDATE leads_campaignlead c SET category = %(category)s
WHERE c.brand_id = %(brand)s AND c.lead_id = ANY(%(leads)s)
  AND c.category IS DISTINCT FROM %(category)s::bigint""",
    f"""
UPDATE leads_lead l SET category = %(category)s, category_set_at = %(at)s
WHERE l.brand_id = %(brand)s AND l.id = ANY(%(leads)s) AND {OTHER}""",
)
TAG = (
    f"""
WITH done AS (
  INSERT INTO leads_leadtag (brand_id, tag_id, lead_id, added_at, last_activity_at)
  SELECT l.brand_id, %(tag_id)s, l.id, %(at)s, l.last_activity_at FROM leads_lead l
  WHERE l.brand_id = %(brand)s AND l.id = ANY(%(leads)s)
  ON CONFLICT DO NOTHING RETURNING lead_id)
{NOTED.format(columns="tag_id")}
SELECT %(brand)s, lead_id, 'tag', {COMMON}, %(tag_id)s FROM done""",
)
UNTAG = (
    f"""
WITH done AS (
  DELETE FROM leads_leadtag t WHERE t.brand_id = %(brand)s AND t.tag_id = %(tag_id)s
    AND t.lead_id = ANY(%(leads)s) RETURNING t.lead_id)
{NOTED.format(columns="tag_id")}
SELECT %(brand)s, lead_id, 'untag', {COMMON}, %(tag_id)s FROM done""",
)
DELETE = (
    f"""
INSERT INTO leads_suppression AS p (brand_id, digest, job_id)
SELECT l.brand_id, {DIGEST.format(email="l.email")}, %(job_id)s
FROM leads_lead l WHERE l.brand_id = %(brand)s AND l.id = ANY(%(leads)s)
ON CONFLICT (brand_id, digest) DO UPDATE SET job_id = excluded.job_id""",
    "DELETE FROM leads_lead WHERE brand_id = %(brand)s AND id = ANY(%(leads)s)",
)
APPLY = {What.CATEGORY: CATEGORY, What.TAG: TAG, What.UNTAG: UNTAG, What.DELETE: DELETE}

# Each takes back the changes `ids` where nobody has changed the same again since.
MINE = "x.brand_id = %(brand)s AND x.id = ANY(%(ids)s)"
UNDO = {
    What.CATEGORY: (
        f"""
UPDATE leads_campaignlead c SET category = (p.value #>> '{{}}')::bigint
FROM leads_leadchange x
JOIN leads_lead l ON l.brand_id = %(brand)s AND l.id = x.lead_id AND l.category_set_at = x.at,
  jsonb_each(x.was -> 'places') p
WHERE {MINE} AND c.brand_id = %(brand)s AND c.lead_id = x.lead_id
  AND c.campaign_id = p.key::bigint""",
        f"""
UPDATE leads_lead l SET category = (x.was ->> 'category')::bigint,
  category_set_at = (x.was ->> 'set_at')::timestamptz
FROM leads_leadchange x
WHERE {MINE} AND l.brand_id = %(brand)s AND l.id = x.lead_id AND l.category_set_at = x.at""",
    ),
    What.TAG: (
        f"""
DELETE FROM leads_leadtag t USING leads_leadchange x
WHERE {MINE} AND t.brand_id = %(brand)s AND t.tag_id = x.tag_id AND t.lead_id = x.lead_id
  AND t.added_at = x.at""",
    ),
    What.UNTAG: (
        f"""
INSERT INTO leads_leadtag (brand_id, tag_id, lead_id, added_at, last_activity_at)
SELECT x.brand_id, x.tag_id, x.lead_id, x.at, l.last_activity_at
FROM leads_leadchange x
JOIN leads_lead l ON l.brand_id = %(brand)s AND l.id = x.lead_id
JOIN leads_tag k ON k.brand_id = %(brand)s AND k.id = x.tag_id
WHERE {MINE} ON CONFLICT DO NOTHING""",
    ),
}
OF_JOB = """
SELECT id, lead_id FROM leads_leadchange
WHERE brand_id = %(brand)s AND job_id = %(job)s ORDER BY id LIMIT %(limit)s"""
FORGET = "DELETE FROM leads_leadchange WHERE brand_id = %(brand)s AND id = ANY(%(ids)s)"
READMIT = """
DELETE FROM leads_suppression WHERE brand_id = %(brand)s AND digest IN (
  SELECT digest FROM leads_suppression
  WHERE brand_id = %(brand)s AND job_id = %(job)s LIMIT %(limit)s)"""


@dataclass(frozen=True)
class Change:
    """What to make of leads, by whom, when; `job_id` is of the bulk job that it belongs to."""

    what: str
    at: datetime
    actor_id: int | None
    category: int | None = None
    tag_id: int | None = None
    job_id: int | None = None


def apply(brand_id: int, lead_ids: Sequence[int], change: Change) -> int:
    """Change the leads and return how many did. Locks them in the order of their ids.

    A category goes to the lead and to its places in campaigns, under the brand's ingest lock: a
    merge beside it would make a place with the category from before. Deleting takes the messages,
    places, tags and notes along and keeps a hash of the address, so that no sync brings the lead
    back.
    """
    params: dict[str, Any] = {"brand": brand_id, "leads": list(lead_ids), **asdict(change)}
    if change.what == What.CATEGORY:
        hold_ingest(brand_id)
    with connection.cursor() as cursor:
        cursor.execute(LOCK, params)
        params["leads"] = [row[0] for row in cursor.fetchall()]
    return [run(sql, params) for sql in APPLY[What(change.what)]][-1]


def undo(brand_id: int, job: BulkJob, limit: int) -> tuple[int, bool]:
    """Take back up to `limit` changes of the job; return how many leads that changed, and whether
    more may be left. Of deleted leads it lets the next sync bring them back."""
    params: dict[str, Any] = {"brand": brand_id, "job": job.pk, "limit": limit}
    if job.what == What.DELETE:
        readmitted = run(READMIT, params)
        return readmitted, readmitted == limit
    with connection.cursor() as cursor:
        cursor.execute(OF_JOB, params)
        found = cursor.fetchall()
        cursor.execute(LOCK, params | {"leads": [lead_id for _, lead_id in found]})
    params["ids"] = [change_id for change_id, _ in found]
    undone = [run(sql, params) for sql in UNDO[What(job.what)]][-1]
    run(FORGET, params)
    return undone, len(found) == limit
