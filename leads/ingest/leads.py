"""Leads in: COPY, dedupe, admit, merge. Pages, exports and imports alike come through here.

Invariant: in the transaction that inserts new leads, billing admitted exactly as many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, islice

from django.db import connection
from django.utils import timezone

from billing.entitlements import admit_leads
from leads.ingest import suppressed
from leads.ingest.rows import LeadRow, Merged
from leads.ingest.staging import EVER, KNOWN, LATEST, Stage, changes, merge_clause, numbers, run
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
LAST_ONE = """(SELECT DISTINCT ON (email) *, joined_at AS last_activity_at FROM leads_stage_v3
  ORDER BY email, seq DESC) excluded"""
LAST_IN_EACH = """(SELECT DISTINCT ON (email, campaign_id) * FROM leads_stage_v3
  WHERE campaign_id IS NOT NULL ORDER BY email, campaign_id, seq DESC) excluded"""
# Scalar subqueries and LIMIT 1 make PostgreSQL ask for each staged row by its key. A join or NOT
# EXISTS is planned as a hash of the whole brand while the statistics know little of it.
UNKNOWN = """(SELECT 1 FROM leads_lead l
  WHERE l.brand_id = %(brand)s AND l.email = s.email) IS NULL"""
LEAD = """LATERAL (SELECT * FROM leads_lead
  WHERE brand_id = %(brand)s AND email = excluded.email LIMIT 1) l"""
PLACE = """LATERAL (SELECT * FROM leads_campaignlead
  WHERE brand_id = %(brand)s AND campaign_id = excluded.campaign_id
    AND lead_id = excluded.lead_id LIMIT 1) c"""

COUNT = f"""
SELECT count(*), count(*) FILTER (WHERE {UNKNOWN})
FROM (SELECT DISTINCT email FROM leads_stage_v3) s"""  # noqa: S608

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

LEAD_RULES = {
    **dict.fromkeys(PERSON, KNOWN),
    "custom": "CASE WHEN {new} <> '{{}}'::jsonb THEN {new} ELSE {old} END",
    "unsubscribed": EVER,
    "status": NEWER,
    "category": CHOSEN.format(rule=TOLD.format(holds=OF_LEAD)),
    "category_at": CHOSEN.format(rule=SINCE.format(holds=OF_LEAD, row="l")),
    "replied": EVER,
    "joined_at": LATEST,
    "last_activity_at": LATEST,
}
INTO_LEADS = f"""
INSERT INTO leads_lead AS l (brand_id, email, {", ".join(PERSON)}, custom, unsubscribed,
  status, category, category_at, replied, joined_at, last_activity_at)
SELECT %(brand)s, excluded.email, {", ".join(f"excluded.{name}" for name in PERSON)},
  excluded.custom, excluded.unsubscribed, excluded.status, excluded.category,
  CASE WHEN excluded.category IS NOT NULL THEN %(as_of)s::timestamptz END, excluded.replied,
  {{joined}}, {{joined}}
FROM {LAST_ONE}"""  # noqa: S608
# When all leads are new; the ingest lock keeps them so. ON CONFLICT would take a third longer.
INSERT_LEADS = INTO_LEADS.format(joined="excluded.joined_at")
# A row of no campaign is a customer's: nothing happened to a known lead.
JOINED = """CASE WHEN excluded.campaign_id IS NULL THEN coalesce(l.joined_at, excluded.joined_at)
  ELSE excluded.joined_at END"""
MERGE_LEADS = f"""{INTO_LEADS.format(joined=JOINED)} LEFT JOIN {LEAD} ON true
WHERE l.id IS NULL OR {changes("l", LEAD_RULES)}
ON CONFLICT (brand_id, email) {merge_clause("l", LEAD_RULES)}"""

# Ranks of the queue for messages: 0 replied, 1 opened or judged by somebody, 2 mailed, 3 not yet.
RANK = """CASE WHEN excluded.replied THEN 0
  WHEN excluded.opened OR excluded.category IS NOT NULL THEN 1
  WHEN excluded.status = 'STARTED' THEN 3 ELSE 2 END"""

PLACE_RULES = {
    "remote_lead_id": "coalesce({new}, {old})",
    "map_id": "coalesce({new}, {old})",
    "status": KNOWN,
    "category": TOLD.format(holds=IN_PLACE),
    "category_at": SINCE.format(holds=IN_PLACE, row="c"),
    "replied": EVER,
    "joined_at": LATEST,
    "last_activity_at": LATEST,
    "history_rank": """CASE WHEN c.replied THEN 0 WHEN excluded.status = '' THEN {old}
      ELSE {new} END""",
}
PLACES = f"""
SELECT %(brand)s AS brand_id, excluded.campaign_id, l.id AS lead_id, excluded.remote_lead_id,
  excluded.map_id, excluded.status,
  CASE WHEN l.category_set_at IS NULL THEN excluded.category ELSE l.category END AS category,
  CASE WHEN excluded.category IS NOT NULL THEN %(as_of)s::timestamptz END AS category_at,
  excluded.replied, excluded.joined_at, excluded.joined_at AS last_activity_at,
  {RANK} AS history_rank, '{NEVER}'::timestamptz AS history_at
FROM {LAST_IN_EACH} CROSS JOIN {LEAD}"""  # noqa: S608
INTO_PLACES = """INSERT INTO leads_campaignlead AS c (brand_id, campaign_id, lead_id,
  remote_lead_id, map_id, status, category, category_at, replied, joined_at, last_activity_at,
  history_rank, history_at)"""
# When all leads are new, both at once: the ids need no looking up.
INSERT_BOTH = f"""
WITH made AS ({INSERT_LEADS} RETURNING id, email)
{INTO_PLACES}
SELECT %(brand)s, excluded.campaign_id, made.id, excluded.remote_lead_id, excluded.map_id,
  excluded.status, excluded.category,
  CASE WHEN excluded.category IS NOT NULL THEN %(as_of)s::timestamptz END, excluded.replied,
  excluded.joined_at, excluded.joined_at, {RANK}, '{NEVER}'::timestamptz
FROM {LAST_IN_EACH} JOIN made USING (email)"""  # noqa: S608
MERGE_PLACES = f"""{INTO_PLACES}
SELECT excluded.* FROM ({PLACES}) excluded LEFT JOIN {PLACE} ON true
WHERE c.lead_id IS NULL OR {changes("c", PLACE_RULES)}
ON CONFLICT (brand_id, campaign_id, lead_id) {merge_clause("c", PLACE_RULES)}"""  # noqa: S608


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
    """Merge batches of several campaigns at once: see merge_staged."""
    return merge_staged(brand_id=brand_id, staged=stage(batches), as_of=as_of)


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows made ready for COPY, `seen` of them."""

    seen: int
    block: bytes


def stage(batches: Sequence[Batch]) -> Staged:
    """Make batches ready for merge_staged. Touches no database, so any thread may do it."""
    seen = sum(len(rows) for _, rows in batches)
    return Staged(seen, STAGE.block(_values(batches)) if seen else b"")


def merge_staged(*, brand_id: int, staged: Staged, as_of: datetime | None = None) -> Merged:
    """Merge what was staged, inside the caller's transaction and scope.

    Of duplicates the last wins. Of new leads, the first that billing grants are inserted and the
    rest left out (`refused`, `refusal`); known leads are always updated. Rows without a campaign
    only make or update the lead; leads that were deleted stay so. `as_of` is when SmartLead was
    asked (None: just now); a category that is known to be of later stays. Holds the brand's ingest
    lock and, with new leads, its billing account until the commit. Safe to repeat.
    """
    if not staged.seen:
        return Merged()
    params = {"brand": brand_id, "as_of": (as_of or timezone.now()) - SKEW}
    hold_ingest(brand_id)
    STAGE.fill(staged.block)
    run(suppressed.LEAVE_OUT, params)
    leads, new = numbers(COUNT, params)
    granted, refusal = new, None
    if new:
        admission = admit_leads(brand_id, new)
        granted, refusal = admission.granted, admission.refusal
    if granted < new:
        run(LEAVE_OUT, {**params, "granted": granted})
    if new == leads:
        run(INSERT_BOTH, params)
        written = granted
    else:
        written = run(MERGE_LEADS, params)
        run(MERGE_PLACES, params)
    return Merged(staged.seen, granted, written - granted, new - granted, refusal)


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
