"""What could not be taken is kept with its reason: recorded and skipped, never fatal."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2s

from leads.ingest.rows import EXCERPT, BadRow
from leads.ingest.staging import numbers
from saas.observability.logs import redact

RECORD = """
WITH known AS (
  SELECT digest FROM leads_rejection WHERE brand_id = %(brand)s AND source = %(source)s
    AND digest = ANY(%(digests)s) AND backfill_id = %(backfill)s),
recorded AS (
  INSERT INTO leads_rejection AS r
    (brand_id, source, reason, detail, excerpt, digest, campaign_id, backfill_id, seen)
  SELECT %(brand)s, %(source)s, reason, detail, excerpt, digest, %(campaign)s, %(backfill)s, 1
  FROM unnest(%(reasons)s::text[], %(details)s::text[], %(excerpts)s::text[], %(digests)s::text[])
    AS b(reason, detail, excerpt, digest)
  ON CONFLICT (brand_id, source, digest)
    DO UPDATE SET seen = r.seen + 1, backfill_id = excluded.backfill_id
  RETURNING digest)
SELECT count(*) FROM recorded WHERE digest NOT IN (SELECT digest FROM known)"""


def record(
    *,
    brand_id: int,
    source: str,
    bad: Sequence[BadRow],
    campaign_id: int | None = None,
    backfill_id: int | None = None,
) -> int:
    """Record the bad rows of one answer; the same row again only counts up `seen`.

    Returns how many distinct rows there were that this backfill had not recorded before: an answer
    that is read again adds nothing. Call inside the brand's scope.
    """
    if not bad:
        return 0
    rows = {_digest(row, campaign_id): row for row in bad}
    [new] = numbers(
        RECORD,
        {
            "brand": brand_id,
            "source": source,
            "campaign": campaign_id,
            "backfill": backfill_id,
            "digests": list(rows),
            "reasons": [row.reason[:40] for row in rows.values()],
            "details": [clean(row.detail)[:300] for row in rows.values()],
            "excerpts": [clean(redact(row.raw[:EXCERPT])) for row in rows.values()],
        },
    )
    return new


def clean(text: str) -> str:
    """Make any text storable: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()


def _digest(row: BadRow, campaign_id: int | None) -> str:
    text = f"{campaign_id}\n{row.reason}\n{row.raw}"
    return blake2s(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
