"""Deleted leads stay deleted: every ingest leaves out addresses whose hash is kept (ADR 13)."""

from __future__ import annotations

# Of the brand's own, so that hashes of two brands can't be compared.
DIGEST = "sha256(convert_to(%(brand)s::text || ':' || {email}, 'UTF8'))"

# A scalar subquery, so that it asks of each staged row; a join may be planned as a hash of all.
LEAVE_OUT = f"""
DELETE FROM leads_stage_v3 s
WHERE EXISTS (SELECT FROM leads_suppression WHERE brand_id = %(brand)s)
  AND (SELECT 1 FROM leads_suppression p WHERE p.brand_id = %(brand)s
    AND p.digest = {DIGEST.format(email="s.email")}) IS NOT NULL"""  # noqa: S608
