"""Row-level security for brands and their people, and the function that finds a person's places."""

from __future__ import annotations

from django.db import migrations

from saas.rls import OpsFunction, TenantPolicy
from saas.tenancy import OPS_ROLE

PLACES = """
CREATE FUNCTION accounts_places(person bigint, wanted text)
RETURNS TABLE (brand_id bigint, slug varchar, name varchar, role varchar, membership_id bigint,
               time_zone varchar)
LANGUAGE sql STABLE AS $body$
  SELECT b.id, b.slug, b.name, m.role, m.id, b.time_zone
  FROM accounts_membership m JOIN accounts_brand b ON b.id = m.brand_id
  WHERE m.user_id = person AND b.erase_requested_at IS NULL
    AND (wanted IS NULL OR b.slug = wanted)
  ORDER BY lower(b.name), b.id
$body$
"""

# A brand that loses its last owner is nobody's. The services refuse it with words; this holds it
# against everything else. Deferred, so that deleting the whole brand passes; the brand's row is
# locked, so that two owners who remove each other at once don't both see the other stay.
LAST_OWNER = f"""
GRANT CREATE ON SCHEMA public TO {OPS_ROLE};
CREATE FUNCTION accounts_brand_keeps_an_owner() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  PERFORM 1 FROM accounts_brand WHERE id = OLD.brand_id FOR NO KEY UPDATE;
  IF FOUND AND NOT EXISTS (
    SELECT FROM accounts_membership WHERE brand_id = OLD.brand_id AND role = 'owner'
  ) THEN
    RAISE EXCEPTION 'brand % would have no owner', OLD.brand_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'brand_keeps_an_owner';
  END IF;
  RETURN NULL;
END $body$;
ALTER FUNCTION accounts_brand_keeps_an_owner() SECURITY DEFINER SET search_path = public, pg_temp;
CREATE CONSTRAINT TRIGGER brand_keeps_an_owner
  AFTER UPDATE OF role, brand_id OR DELETE ON accounts_membership
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.role = 'owner')
  EXECUTE FUNCTION accounts_brand_keeps_an_owner();
ALTER FUNCTION accounts_brand_keeps_an_owner() OWNER TO {OPS_ROLE};
REVOKE CREATE ON SCHEMA public FROM {OPS_ROLE};
"""
DROP_LAST_OWNER = f"""
DROP TRIGGER brand_keeps_an_owner ON accounts_membership;
SET LOCAL ROLE {OPS_ROLE};
DROP FUNCTION accounts_brand_keeps_an_owner();
SET LOCAL ROLE NONE;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("saas", "0001_ground")]

    operations = [
        TenantPolicy("accounts_brand", column="id"),
        TenantPolicy("accounts_membership"),
        TenantPolicy("accounts_membershipevent"),
        TenantPolicy("accounts_invitation"),
        OpsFunction("accounts_places(bigint, text)", PLACES),
        migrations.RunSQL(LAST_OWNER, DROP_LAST_OWNER),
    ]
