"""Row-level security for brands and their people, and the function that finds a person's places."""

from __future__ import annotations

from django.db import migrations

from saas.rls import OpsFunction, TenantPolicy

PLACES = """
CREATE FUNCTION accounts_places(person bigint, wanted text)
RETURNS TABLE (brand_id bigint, slug varchar, name varchar, role varchar, membership_id bigint)
LANGUAGE sql STABLE AS $body$
  SELECT b.id, b.slug, b.name, m.role, m.id
  FROM accounts_membership m JOIN accounts_brand b ON b.id = m.brand_id
  WHERE m.user_id = person AND (wanted IS NULL OR b.slug = wanted)
  ORDER BY lower(b.name), b.id
$body$
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("saas", "0001_ground")]

    operations = [
        TenantPolicy("accounts_brand", column="id"),
        TenantPolicy("accounts_membership"),
        TenantPolicy("accounts_membershipevent"),
        TenantPolicy("accounts_invitation"),
        OpsFunction("accounts_places(bigint, text)", PLACES),
    ]
