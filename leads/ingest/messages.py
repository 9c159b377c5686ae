"""Messages in: COPY, dedupe, merge, then what they say about their leads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from leads.ingest.leads import hold_ingest
from leads.ingest.rows import Merged, Thread
from leads.ingest.staging import KNOWN, Stage, merge_clause, numbers, run
from leads.models import Lead

STAGE = Stage(
    "leads_message_stage_v1",
    {
        "seq": "int",
        "lead_id": "bigint",
        "key": 'text COLLATE "C"',
        "direction": "text",
        "sent_at": "timestamptz",
        "sender": "text",
        "recipient": "text",
        "subject": "text",
        "body": "text",
        "step": "smallint",
        "opens": "int",
        "clicks": "int",
    },
)
COLUMNS = ", ".join(name for name in STAGE.columns if name != "seq")
MOST = "greatest({old}, {new})"

COUNT_NEW = """
SELECT count(*) FROM (SELECT DISTINCT lead_id, key FROM leads_message_stage_v1) s
WHERE (SELECT 1 FROM leads_message m WHERE m.brand_id = %(brand)s AND m.lead_id = s.lead_id
  AND m.campaign_id = %(campaign)s AND m.key = s.key) IS NULL"""

MERGE_MESSAGES = f"""
INSERT INTO leads_message AS m (brand_id, campaign_id, {COLUMNS})
SELECT %(brand)s, %(campaign)s, {COLUMNS}
FROM (SELECT DISTINCT ON (lead_id, key) * FROM leads_message_stage_v1
      ORDER BY lead_id, key, seq DESC) s
ON CONFLICT (brand_id, lead_id, campaign_id, key) {
    merge_clause("m", {"subject": KNOWN, "body": KNOWN, "opens": MOST, "clicks": MOST})
}"""  # noqa: S608

SUMMARY = """(SELECT lead_id, bool_or(direction = 'reply') AS replied, max(sent_at) AS last
  FROM leads_message_stage_v1 GROUP BY lead_id) s"""

TELL_LEADS = f"""
UPDATE leads_lead l SET replied = l.replied OR s.replied,
  last_activity_at = greatest(l.last_activity_at, s.last)
FROM {SUMMARY}
WHERE l.brand_id = %(brand)s AND l.id = s.lead_id AND l.id = ANY(%(leads)s)
  AND ((s.replied AND NOT l.replied) OR s.last > l.last_activity_at)"""  # noqa: S608

TELL_PLACES = f"""
UPDATE leads_campaignlead c SET history_at = coalesce(%(fetched_at)s, c.history_at),
  replied = c.replied OR coalesce(s.replied, false),
  history_rank = CASE WHEN c.replied OR s.replied THEN 0 ELSE least(c.history_rank, 3) END,
  last_activity_at = greatest(c.last_activity_at, s.last)
FROM unnest(%(leads)s::bigint[]) AS wanted(lead_id)
  LEFT JOIN {SUMMARY} ON s.lead_id = wanted.lead_id
WHERE c.brand_id = %(brand)s AND c.campaign_id = %(campaign)s
  AND c.lead_id = wanted.lead_id AND c.lead_id = ANY(%(leads)s)"""  # noqa: S608


def merge(
    *, brand_id: int, campaign_id: int, threads: Sequence[Thread], fetched_at: datetime | None
) -> Merged:
    """Merge the threads of leads of one campaign inside the caller's transaction and scope.

    Marks each as fetched at `fetched_at`, also those without messages; None, for parts of threads,
    leaves that as it was. Nothing that is known is deleted or blanked by what came; threads of
    deleted leads are left out. Holds the brand's ingest lock. Safe to repeat.
    """
    hold_ingest(brand_id)
    threads = _known(brand_id, threads)
    params = {
        "brand": brand_id,
        "campaign": campaign_id,
        "fetched_at": fetched_at,
        "leads": [thread.lead_id for thread in threads],
    }
    STAGE.fill(STAGE.block(_values(threads)))
    [new] = numbers(COUNT_NEW, params)
    written = run(MERGE_MESSAGES, params)
    run(TELL_LEADS, params)
    run(TELL_PLACES, params)
    seen = sum(len(thread.messages) for thread in threads)
    return Merged(seen=seen, new=new, changed=written - new)


def _known(brand_id: int, threads: Sequence[Thread]) -> list[Thread]:
    """Leave out the threads of leads that were deleted since they were asked for."""
    wanted = [thread.lead_id for thread in threads]
    rows = Lead.objects.filter(brand_id=brand_id, id__in=wanted)
    known = set(rows.values_list("id", flat=True))
    return [thread for thread in threads if thread.lead_id in known]


def _values(threads: Sequence[Thread]) -> Iterable[tuple[object, ...]]:
    seq = 0
    for thread in threads:
        for row in thread.messages:
            seq += 1
            yield (
                seq,
                thread.lead_id,
                row.key,
                row.direction,
                row.sent_at,
                row.sender,
                row.recipient,
                row.subject,
                row.body,
                row.step,
                row.opens,
                row.clicks,
            )
