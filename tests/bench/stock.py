"""A brand full of leads for the benches, as the ingest would leave it, much faster."""

from __future__ import annotations

from typing import Any

import psycopg

LEADS = """
INSERT INTO leads_lead (brand_id, email, first_name, last_name, company, phone, website, location,
  linkedin, company_url, custom, unsubscribed, status, category, replied, joined_at,
  last_activity_at)
SELECT %(brand)s, 'lead' || lpad(n::text, 8, '0') || '@company' || n %% 997 || '.example',
  'First' || n %% 1009, 'Last' || n %% 5003, 'Company ' || n %% 9973 || ' Ltd', '+49 30 ' || n,
  'https://www.company' || n %% 997 || '.example', 'Berlin, Germany',
  'https://www.linkedin.com/in/p' || n, 'company' || n %% 997 || '.example',
  '{"job_title": "Head of Sales", "industry": "Logistics"}', false,
  (ARRAY['STARTED', 'INPROGRESS', 'COMPLETED', 'PAUSED'])[n %% 4 + 1],
  CASE WHEN n %% 5 = 0 THEN n %% 9 + 1 END, n %% 50 = 0, at, at
FROM generate_series(1::bigint, %(rows)s) AS n,
  LATERAL (SELECT timestamptz '2025-01-01' + n * interval '3 seconds') AS t(at)"""
PLACES = """
INSERT INTO leads_campaignlead (brand_id, campaign_id, lead_id, status, category, replied,
  joined_at, last_activity_at, history_rank, history_at)
SELECT brand_id, %(campaign)s, id, status, category, replied, joined_at, last_activity_at, 3,
  'epoch'
FROM leads_lead WHERE brand_id = %(brand)s AND id %% 20 = 0"""


def fill(admin: psycopg.Connection[Any], brand_id: int, campaign_id: int, rows: int) -> None:
    """Give a brand `rows` leads, every 20th in the campaign, analyzed.

    `admin` is a superuser's: it goes past the keys, and builds the indexes after the rows. The
    partition is the brand's alone until this ends.
    """
    params = {"brand": brand_id, "campaign": campaign_id, "rows": rows}
    admin.execute("SET session_replication_role = replica")
    for table, statement in (("leads_lead", LEADS), ("leads_campaignlead", PLACES)):
        part = partition(admin, table, brand_id)
        admin.execute("SET allow_system_table_mods = on")
        admin.execute(
            "UPDATE pg_index SET indisready = false, indisvalid = false"
            " WHERE indrelid = %s::regclass AND NOT indisprimary",
            [part],
        )
        admin.execute(statement, params)
        admin.execute(f"SET maintenance_work_mem = '1GB'; REINDEX TABLE {part}")
        admin.execute(f"VACUUM ANALYZE {part}")
        admin.execute(f"ANALYZE {table}")
    admin.execute("RESET session_replication_role")


def partition(admin: psycopg.Connection[Any], table: str, brand_id: int) -> str:
    row = admin.execute(
        """SELECT child.oid::regclass::text FROM pg_inherits JOIN pg_class child
           ON child.oid = inhrelid JOIN pg_partitioned_table p ON p.partrelid = inhparent
           WHERE inhparent = %(table)s::regclass AND satisfies_hash_partition(inhparent, 16,
             substring(pg_get_expr(child.relpartbound, child.oid) from 'remainder (\\d+)')::int,
             %(brand)s::bigint)""",
        {"table": table, "brand": brand_id},
    ).fetchone()
    if row is None:
        raise LookupError(f"no partition of {table} for brand {brand_id}")
    return str(row[0])
