"""Leads in: COPY, dedupe, admit, merge. Pages, exports and imports alike come through here.

Invariant: in the transaction that inserts new leads, billing admitted exactly as many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count, islice

from django.db import connection
from django.utils import timezone

from billing.entitlements import admit_leads
from leads.ingest import suppressed
from leads.ingest.rows import LeadRow, Merged
from leads.ingest.staging import EVER, KNOWN, LATEST, Stage, merge_clause, number, run
from saas.tenancy import scope

BATCH = 5000  # rows a transaction: the knee of the measured curve, and 0.3 s under the lock
INGEST_LOCK = 7_101  # with the brand's id: one ingest of a brand at a time
NEVER = "1970-01-01 00:00:00+00"
SKEW = timedelta(minutes=1)  # between SmartLead's clock, which times events, and ours

Batch = tuple[int | None, Sequence[LeadRow]]  # a campaign of ours, if any, and its rows

STAGE = Stage(
    "leads_stage_v3",
    {
        "seq": "int",
        "campaign_id": "bigint",
        "email": 'text COLLATE "C"',
        "remote_lead_id": "bigint",
        "map_id": "bigint",
        "first_name": "text",
        "last_name": "text",
        "company": "text",
        "phone": "text",
        "website": "text",
        "location": "text",
        "linkedin": "text",
        "company_url": "text",
        "custom": "jsonb",
        "unsubscribed": "bool",
        "status": "text",
        "category": "bigint",
        "joined_at": "timestamptz",
        "replied": "bool",
        "opened": "bool",
    },
)
PERSON = (
    "first_name", "last_name", "company", "phone", "website", "location", "linkedin", "company_url"
)  # fmt: skip
LAST_ONE = "(SELECT DISTINCT ON (email) * FROM leads_stage_v3 ORDER BY email, seq DESC) s"
# A scalar subquery: NOT EXISTS is planned as a hash of the whole brand for want of statistics.
UNKNOWN = """(SELECT 1 FROM leads_lead l
  WHERE l.brand_id = %(brand)s AND l.email = s.email) IS NULL"""

COUNT_NEW = f"""
SELECT count(*) FROM (SELECT DISTINCT email FROM leads_stage_v3) s WHERE {UNKNOWN}"""  # noqa: S608

LEAVE_OUT = f"""
DELETE FROM leads_stage_v3 WHERE email IN (
  SELECT s.email FROM (SELECT email, min(seq) AS first FROM leads_stage_v3 GROUP BY email) s
  WHERE {UNKNOWN} ORDER BY s.first OFFSET %(granted)s)"""  # noqa: S608

# Of two campaigns, the one joined last speaks for the lead; a row of no campaign says nothing.
NEWER = """CASE WHEN excluded.joined_at >= l.joined_at AND excluded.status <> ''
  THEN {new} ELSE {old} END"""

# Of two words on a category, the later one holds: an event's moment, or when an answer was asked
# for. A row without a status (an event's) has no word on it.
LATER = "excluded.status <> '' AND coalesce({row}.category_at, '-infinity') <= %(as_of)s"
IN_PLACE = LATER.format(row="c")
OF_LEAD = f"""((excluded.status <> '' AND excluded.joined_at > l.joined_at)
  OR (excluded.joined_at = l.joined_at AND {LATER.format(row="l")}))"""
TOLD = "CASE WHEN {holds} THEN {{new}} ELSE {{old}} END"
SINCE = """CASE WHEN {holds} AND {row}.category IS DISTINCT FROM excluded.category
  THEN %(as_of)s ELSE {{old}} END"""
# What a person chose stays: a list or an export doesn't say when SmartLead's was chosen (ADR 13).
CHOSEN = "CASE WHEN l.category_set_at IS NOT NULL THEN {{old}} ELSE {rule} END"

MERGE_LEADS = f"""
INSERT INTO leads_lead AS l (brand_id, email, {", ".join(PERSON)}, custom, unsubscribed,
  status, category, category_at, replied, joined_at, last_activity_at)
SELECT %(brand)s, email, {", ".join(PERSON)}, custom, unsubscribed,
  status, category, CASE WHEN category IS NOT NULL THEN %(as_of)s::timestamptz END, replied,
  joined_at, joined_at
FROM {LAST_ONE}
ON CONFLICT (brand_id, email) {
    merge_clause(
        "l",
        {
            **dict.fromkeys(PERSON, KNOWN),
            "custom": "CASE WHEN {new} <> '{{}}'::jsonb THEN {new} ELSE {old} END",
            "unsubscribed": EVER,
            "status": NEWER,
            "category": CHOSEN.format(rule=TOLD.format(holds=OF_LEAD)),
            "category_at": CHOSEN.format(rule=SINCE.format(holds=OF_LEAD, row="l")),
            "replied": EVER,
            "joined_at": LATEST,
            "last_activity_at": LATEST,
        },
    )
}"""  # noqa: S608

# Ranks of the queue for messages: 0 replied, 1 opened or judged by somebody, 2 mailed, 3 not yet.
RANK = """CASE WHEN s.replied THEN 0 WHEN s.opened OR s.category IS NOT NULL THEN 1
  WHEN s.status = 'STARTED' THEN 3 ELSE 2 END"""

MERGE_PLACES = f"""
INSERT INTO leads_campaignlead AS c (brand_id, campaign_id, lead_id, remote_lead_id, map_id,
  status, category, category_at, replied, joined_at, last_activity_at, history_rank, history_at)
SELECT %(brand)s, s.campaign_id, l.id, s.remote_lead_id, s.map_id,
  s.status, CASE WHEN l.category_set_at IS NULL THEN s.category ELSE l.category END,
  CASE WHEN s.category IS NOT NULL THEN %(as_of)s::timestamptz END,
  s.replied, s.joined_at, s.joined_at, {RANK}, '{NEVER}'
FROM (SELECT DISTINCT ON (email, campaign_id) * FROM leads_stage_v3
      WHERE campaign_id IS NOT NULL ORDER BY email, campaign_id, seq DESC) s
JOIN leads_lead l ON l.brand_id = %(brand)s AND l.email = s.email
ON CONFLICT (brand_id, campaign_id, lead_id) {
    merge_clause(
        "c",
        {
            "remote_lead_id": "coalesce({new}, {old})",
            "map_id": "coalesce({new}, {old})",
            "status": KNOWN,
            "category": TOLD.format(holds=IN_PLACE),
            "category_at": SINCE.format(holds=IN_PLACE, row="c"),
            "replied": EVER,
            "joined_at": LATEST,
            "last_activity_at": LATEST,
            "history_rank": '''CASE WHEN c.replied THEN 0 WHEN excluded.status = '' THEN {old}
              ELSE {new} END''',
        },
    )
}"""  # noqa: S608


def merge(
    *,
    brand_id: int,
    rows: Sequence[LeadRow],
    campaign_id: int | None = None,
    as_of: datetime | None = None,
) -> Merged:
    """Merge one batch of one campaign, or of none: see merge_all."""
    return merge_all(brand_id=brand_id, batches=[(campaign_id, rows)], as_of=as_of)


def merge_all(*, brand_id: int, batches: Sequence[Batch], as_of: datetime | None = None) -> Merged:
    """Merge batches of several campaigns at once, inside the caller's transaction and scope.

    Of duplicates the last wins. Of new leads, the first that billing grants are inserted and the
    rest left out (`refused`, `refusal`); known leads are always updated. Rows without a campaign
    only make or update the lead; leads that were deleted stay so. `as_of` is when SmartLead was
    asked (None: just now); a category that is known to be of later stays. Holds the brand's ingest
    lock and, with new leads, its billing account until the commit. Safe to repeat.
    """
    seen = sum(len(rows) for _, rows in batches)
    if not seen:
        return Merged()
    params = {"brand": brand_id, "as_of": (as_of or timezone.now()) - SKEW}
    hold_ingest(brand_id)
    STAGE.fill(_values(batches))
    run(suppressed.LEAVE_OUT, params)
    new = number(COUNT_NEW, params)
    granted, refusal = new, None
    if new:
        admission = admit_leads(brand_id, new)
        granted, refusal = admission.granted, admission.refusal
    if granted < new:
        run(LEAVE_OUT, {**params, "granted": granted})
    written = run(MERGE_LEADS, params)
    run(MERGE_PLACES, params)
    return Merged(seen, granted, written - granted, new - granted, refusal)


def stream(*, brand_id: int, campaign_id: int, rows: Iterable[LeadRow]) -> Merged:
    """Merge any number of rows, BATCH a transaction, in constant memory.

    Opens its own scopes. Stops at the first refusal; what was merged before stays.
    """
    source = iter(rows)
    done = Merged()
    while batch := list(islice(source, BATCH)):
        with scope(brand_id):
            done += merge(brand_id=brand_id, campaign_id=campaign_id, rows=batch)
        if done.refusal:
            break
    return done


def hold_ingest(brand_id: int) -> None:
    """Lock out other ingests of the brand until the commit: counts stay true, no deadlocks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [INGEST_LOCK, brand_id])


def _values(batches: Sequence[Batch]) -> Iterable[tuple[object, ...]]:
    seq = count()
    for campaign_id, rows in batches:
        for row in rows:
            yield (
                next(seq),
                campaign_id,
                row.email,
                row.remote_lead_id,
                row.map_id,
                row.first_name,
                row.last_name,
                row.company,
                row.phone,
                row.website,
                row.location,
                row.linkedin,
                row.company_url,
                row.custom,
                row.unsubscribed,
                row.status,
                row.category,
                row.joined_at,
                row.replied,
                row.opened,
            )
