"""A cursor over the account's whole list of leads, which belongs to no campaign."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leads", "0004_sources")]
    safe_because = "choices are Python's, a column loses its NOT NULL, and no row of this kind exists"

    operations = [
        migrations.AlterField(
            model_name="cursor",
            name="campaign",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="leads.campaign",
            ),
        ),
        migrations.AlterField(
            model_name="cursor",
            name="kind",
            field=models.CharField(
                choices=[
                    ("all", "All leads of the account"),
                    ("leads", "Leads"),
                    ("replied", "Leads that replied"),
                ],
                default="leads",
                max_length=8,
            ),
        ),
        migrations.AddConstraint(
            model_name="cursor",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "all")),
                fields=("backfill",),
                name="one_whole_list_per_backfill",
            ),
        ),
    ]
