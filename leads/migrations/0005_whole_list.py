"""A cursor over the account's whole list of leads, which belongs to no campaign."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leads", "0004_sources")]

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
        migrations.RemoveConstraint(
            model_name="cursor", name="one_cursor_per_campaign_and_kind"
        ),
        migrations.AddConstraint(
            model_name="cursor",
            constraint=models.UniqueConstraint(
                fields=("backfill", "campaign", "kind"),
                name="one_cursor_per_campaign_and_kind",
                nulls_distinct=False,
            ),
        ),
    ]
