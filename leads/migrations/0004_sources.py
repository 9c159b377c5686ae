"""Where a cursor reads from: a campaign's export, or its pages."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leads", "0003_keys_by_partition")]

    operations = [
        migrations.AddField(
            model_name="cursor",
            name="source",
            field=models.CharField(
                choices=[("export", "Export"), ("pages", "Pages")],
                db_default="pages",
                default="pages",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="cursor",
            name="fell_back",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="cursor",
            name="digest",
            field=models.CharField(blank=True, db_default="", default="", max_length=32),
        ),
    ]
