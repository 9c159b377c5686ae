"""The addresses of a file and of the brand, a batch at a time. Inside the caller's scope."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.db import connection

from leads.ingest.rows import LeadRow
from leads.ingest.staging import run
from leads.ingest.suppressed import DIGEST
from leads.models import Import

KEEP = """
INSERT INTO leads_importaddress (brand_id, job_id, email, line)
SELECT %(brand)s, %(job)s, email, line
FROM unnest(%(emails)s::text[], %(lines)s::bigint[]) AS given(email, line)
ON CONFLICT (job_id, email) DO NOTHING"""
FIRSTS = """
SELECT email, line FROM leads_importaddress
WHERE brand_id = %(brand)s AND job_id = %(job)s AND email = ANY (%(emails)s)"""
# A scalar subquery, so that it asks for each address by its key.
DELETED = f"""
SELECT given.email FROM unnest(%(emails)s::text[]) AS given(email)
WHERE EXISTS (SELECT FROM leads_suppression WHERE brand_id = %(brand)s)
  AND (SELECT 1 FROM leads_suppression p WHERE p.brand_id = %(brand)s
    AND p.digest = {DIGEST.format(email="given.email")}) IS NOT NULL"""  # noqa: S608
KNOWN = "SELECT email FROM leads_lead WHERE brand_id = %(brand)s AND email = ANY (%(emails)s)"


def keep(job: Import, lines: Mapping[str, int]) -> None:
    """Remember the line of each address that no earlier batch had."""
    given = {"emails": list(lines), "lines": list(lines.values())}
    run(KEEP, {"brand": job.brand_id, "job": job.pk, **given})


def firsts(job: Import, rows: Collection[LeadRow]) -> dict[str, int]:
    """Return the line that each address of the rows stands in first."""
    emails = [row.email for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(FIRSTS, {"brand": job.brand_id, "job": job.pk, "emails": emails})
        return dict(cursor.fetchall())


def known(brand_id: int, rows: Collection[LeadRow]) -> set[str]:
    """Return those addresses of the rows that are leads of the brand."""
    return _emails(KNOWN, brand_id, rows)


def deleted(brand_id: int, rows: Collection[LeadRow]) -> set[str]:
    """Return those addresses of the rows whose leads were deleted here, and so stay out."""
    return _emails(DELETED, brand_id, rows)


def _emails(sql: str, brand_id: int, rows: Collection[LeadRow]) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"brand": brand_id, "emails": [row.email for row in rows]})
        return {email for (email,) in cursor.fetchall()}
