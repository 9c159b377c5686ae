"""The keys from places and messages to their leads, partition by partition.

A key between the partitioned parents makes PostgreSQL plan and lock every partition for each row
that it checks: half the cost of a fresh place. Both sides are hashed alike, so a row's lead is
always in the partition of the same number. Measured in docs/adr/0011.
"""

from __future__ import annotations

from django.db import migrations

from leads.partitions import PARTITIONS

TABLES = ("leads_campaignlead", "leads_message")
KEY = "FOREIGN KEY (brand_id, lead_id) REFERENCES {target} (brand_id, id) ON DELETE CASCADE"


def between_partitions(table: str) -> migrations.RunSQL:
    """Swap the key in one transaction. It checks the rows that are there, so it takes a while on a
    large table; NOT VALID would leave the old rows unproven."""
    parent = KEY.format(target="leads_lead")
    forwards = [f"ALTER TABLE {table} DROP CONSTRAINT {table}_lead_id_key"]
    backwards = [f"ALTER TABLE {table} ADD CONSTRAINT {table}_lead_id_key {parent}"]
    for number in range(PARTITIONS):
        part, key = f"{table}_p{number:02d}", KEY.format(target=f"leads_lead_p{number:02d}")
        forwards.append(f"ALTER TABLE {part} ADD CONSTRAINT {part}_lead_id_key {key}")
        backwards.insert(0, f"ALTER TABLE {part} DROP CONSTRAINT {part}_lead_id_key")
    return migrations.RunSQL(forwards, backwards)


class Migration(migrations.Migration):
    dependencies = [("leads", "0002_tenancy")]

    operations = [between_partitions(table) for table in TABLES]
