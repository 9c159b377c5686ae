"""The invitation that a sign-up came by is sealed."""

from django.db import migrations

import saas.crypto


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_names")]
    safe_because = (
        "the column stays a text, and new code reads what is in it in clear. Old code can't open"
        " what new code sealed: it drops it, the person makes a brand, and the link joins as before"
    )

    operations = [
        migrations.AlterField(
            model_name="pendingsignup",
            name="invitation",
            field=saas.crypto.SealedField(blank=True, default=""),
        ),
    ]
