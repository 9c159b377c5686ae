"""Brands whose backfill ended before there were syncs get their first one."""

from __future__ import annotations

from django.db import migrations

from saas.tenancy import OPS_ROLE

# Their campaigns have no moments yet, so it reads them whole; that changes nothing that is here.
DUE = f"""
SET LOCAL ROLE {OPS_ROLE};
UPDATE leads_connection c SET synced_at = b.started_at, sync_due_at = now()
FROM (SELECT connection_id, max(started_at) AS started_at FROM leads_backfill
      WHERE state = 'finished' GROUP BY connection_id) b
WHERE b.connection_id = c.id AND c.synced_at IS NULL;
SET LOCAL ROLE NONE"""


class Migration(migrations.Migration):
    dependencies = [("leads", "0008_sync")]

    operations = [migrations.RunSQL(DUE, migrations.RunSQL.noop)]
