"""Which SmartLead account a connection is of: brands that share one share its limit."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leads", "0005_whole_list")]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="account",
            field=models.CharField(blank=True, db_default="", default="", max_length=32),
        ),
    ]
