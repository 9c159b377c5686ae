"""Which statuses a brand's leads have, and how many of each."""

from __future__ import annotations

from django.db import connection

HOPS = """SELECT status FROM (
  WITH RECURSIVE hop AS (
    (SELECT status FROM leads_lead WHERE brand_id = %(brand)s ORDER BY status LIMIT 1)
    UNION ALL
    SELECT (SELECT status FROM leads_lead WHERE brand_id = %(brand)s AND status > hop.status
            ORDER BY status LIMIT 1)
    FROM hop WHERE hop.status IS NOT NULL
  ) SELECT status FROM hop LIMIT 50
) known WHERE status <> ''"""


def counted(brand_id: int) -> dict[str, int]:
    """Return the number of leads of each status; exact, one walk of an index (1 s at 10M)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT status, count(*) FROM leads_lead WHERE brand_id = %s GROUP BY status",
            [brand_id],
        )
        return {str(status): int(number) for status, number in cursor.fetchall()}


def known(brand_id: int) -> list[str]:
    """Return the statuses that the brand's leads have, by hopping over the index of status."""
    with connection.cursor() as cursor:
        cursor.execute(HOPS, {"brand": brand_id})
        return [str(status) for (status,) in cursor.fetchall()]
