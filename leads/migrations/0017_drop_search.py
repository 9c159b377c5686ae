"""Drop leads_search(), which leads_find() replaced in 0014 and no code calls any more."""

from django.db import migrations

from saas.rls import OPS_ROLE

class Migration(migrations.Migration):
    dependencies = [("leads", "0016_import_deleted")]

    operations = [
        migrations.RunSQL(
            f"SET LOCAL ROLE {OPS_ROLE}; DROP FUNCTION leads_search(text, integer);"
            " SET LOCAL ROLE NONE",
            migrations.RunSQL.noop,
        )
    ]
