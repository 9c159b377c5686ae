"""Names of people and brands hold what can be read."""

from django.db import migrations, models

import accounts.names


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_brand_request_key")]
    safe_because = "validators are Python's: the columns stay as they are"

    operations = [
        migrations.AlterField(
            model_name="brand",
            name="name",
            field=models.CharField(max_length=80, validators=[accounts.names.validate_name]),
        ),
        migrations.AlterField(
            model_name="user",
            name="name",
            field=models.CharField(
                blank=True,
                default="",
                max_length=120,
                validators=[accounts.names.validate_name],
            ),
        ),
    ]
