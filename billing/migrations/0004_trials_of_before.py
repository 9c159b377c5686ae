"""Who had a trial before there was a row of it: the journal knows who started one."""

from __future__ import annotations

from django.db import migrations

TRIALS = """
INSERT INTO billing_trial (user_id, started_at)
SELECT actor_id, min(timestamp) FROM auditlog_logentry
WHERE additional_data ->> 'event' = 'trial.started' AND actor_id IS NOT NULL
GROUP BY actor_id
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0003_one_trial_a_person"),
        ("auditlog", "__latest__"),
    ]

    operations = [migrations.RunSQL(TRIALS, migrations.RunSQL.noop)]
