"""Row-level security on billing, and the trigger that holds the rule of admission."""

from __future__ import annotations

from django.db import migrations

from saas.rls import TenantPolicy

# The last line of defence behind billing.entitlements.admit_leads. The trial's end is left to the
# code (the clock of a test is not the database's).
ADMISSION = """
CREATE FUNCTION billing_admission_within_rights() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  IF NEW.leads_used > NEW.lead_quota OR NEW.standing IN ('downgraded', 'canceled') THEN
    RAISE EXCEPTION 'brand % may not bring in more leads', NEW.brand_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $body$;
CREATE TRIGGER admission_within_rights BEFORE UPDATE ON billing_billingaccount
  FOR EACH ROW WHEN (NEW.leads_used > OLD.leads_used)
  EXECUTE FUNCTION billing_admission_within_rights();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial"), ("saas", "0001_ground")]

    operations = [
        TenantPolicy("billing_billingaccount"),
        TenantPolicy("billing_billingaccountevent"),
        TenantPolicy("billing_subscription"),
        TenantPolicy("billing_subscriptionevent"),
        TenantPolicy("billing_invoice"),
        TenantPolicy("billing_checkout"),
        TenantPolicy("billing_stripeoperation"),
        migrations.RunSQL(
            "CREATE SEQUENCE billing_fetch_ticket; "
            "GRANT USAGE ON SEQUENCE billing_fetch_ticket TO harbor_ops",
            "DROP SEQUENCE billing_fetch_ticket",
        ),
        migrations.RunSQL(
            ADMISSION,
            "DROP TRIGGER admission_within_rights ON billing_billingaccount;"
            "DROP FUNCTION billing_admission_within_rights()",
        ),
    ]
