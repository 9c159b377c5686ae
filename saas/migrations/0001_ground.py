"""The ground: the operators' role may use every table, and the journal is append-only."""

from __future__ import annotations

from django.db import migrations

from saas.tenancy import OPS_ROLE

# Later tables get the same through the default privileges of the role that migrates.
PRIVILEGES = f"""
DO $body$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OPS_ROLE}') THEN
    RAISE EXCEPTION 'the role {OPS_ROLE} is missing'
      USING HINT = 'As a superuser: CREATE ROLE {OPS_ROLE} NOLOGIN; '
                   'GRANT {OPS_ROLE} TO <application role> WITH INHERIT FALSE, SET TRUE;';
  END IF;
END $body$;
GRANT USAGE ON SCHEMA public TO {OPS_ROLE};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {OPS_ROLE};
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {OPS_ROLE};
ALTER DEFAULT PRIVILEGES IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {OPS_ROLE};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {OPS_ROLE};
"""

# The one change allowed is the one that deleting a person makes: actor_id becomes NULL.
# The e-mail address stays, as the law on bookkeeping asks (docs/compliance.md).
JOURNAL = """
CREATE FUNCTION saas_journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.actor_id IS NULL
     AND to_jsonb(NEW) - 'actor_id' = to_jsonb(OLD) - 'actor_id' THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'restrict_violation';
END $body$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON auditlog_logentry
  FOR EACH ROW EXECUTE FUNCTION saas_journal_is_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON auditlog_logentry
  FOR EACH STATEMENT EXECUTE FUNCTION saas_journal_is_append_only();
REVOKE TRUNCATE ON auditlog_logentry FROM CURRENT_USER;
"""


class Migration(migrations.Migration):
    dependencies = [("auditlog", "__latest__")]

    operations = [
        migrations.RunSQL(PRIVILEGES, migrations.RunSQL.noop),
        migrations.RunSQL(
            JOURNAL,
            "DROP TRIGGER append_only ON auditlog_logentry;"
            "DROP TRIGGER no_truncate ON auditlog_logentry;"
            "DROP FUNCTION saas_journal_is_append_only()",
        ),
    ]
