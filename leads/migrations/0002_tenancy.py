"""Row-level security, the keys that Django can't declare, and the search by part of a name."""

from __future__ import annotations

from django.db import migrations

from saas.rls import SETTING, OpsFunction, TenantPolicy

TABLES = (
    "leads_connection",
    "leads_campaign",
    "leads_category",
    "leads_backfill",
    "leads_cursor",
    "leads_rate",
    "leads_rejection",
    "leads_lead",
    "leads_campaignlead",
    "leads_message",
)

# table, columns, target. A row can't point at another brand's row, and deleting cascades inside
# PostgreSQL: nobody loads ten million leads to delete a brand.
KEYS = (
    ("leads_lead", "brand_id", "accounts_brand (id)"),
    ("leads_campaignlead", "brand_id, lead_id", "leads_lead (brand_id, id)"),
    ("leads_campaignlead", "brand_id, campaign_id", "leads_campaign (brand_id, id)"),
    ("leads_message", "brand_id, lead_id", "leads_lead (brand_id, id)"),
    ("leads_message", "brand_id, campaign_id", "leads_campaign (brand_id, id)"),
)


def key(table: str, columns: str, target: str) -> migrations.RunSQL:
    name = f"{table}_{columns.rpartition(', ')[2]}_key"
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({columns})"
        f" REFERENCES {target} ON DELETE CASCADE",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


# Under row-level security no operator of trigrams may reach its index (none is leakproof), hence
# the function; it repeats the equality. The cap comes before the order: ordering first would walk
# the index of dates. Beyond `cap` hits the newest are not certain to be among them.
SEARCH = f"""
CREATE FUNCTION leads_search(needle text, cap integer)
RETURNS TABLE (id bigint) LANGUAGE sql STABLE AS $body$
  SELECT l.id FROM leads_lead l
  WHERE l.brand_id = {SETTING} AND l.search LIKE needle
  LIMIT cap
$body$
"""


class Migration(migrations.Migration):
    dependencies = [("leads", "0001_initial"), ("saas", "0001_ground")]

    operations = [
        *(TenantPolicy(table) for table in TABLES),
        *(key(*each) for each in KEYS),
        OpsFunction("leads_search(text, integer)", SEARCH),
    ]
