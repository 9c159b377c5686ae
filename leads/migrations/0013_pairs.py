"""Pairs of filters of the list each walk an index of their own; made without stopping the writers.

Those of a rare mark are partial: a lead without it costs the ingest nothing.
"""

from django.db import migrations, models
from django.db.models import Q
from leads.partitions import AddPartitionedIndex

NEWEST = ["-last_activity_at", "-id"]
NEWEST_PLACE = ["-last_activity_at", "-lead_id"]

LEADS = [
    ("lead_category_status", ["category", "status"], Q(category__isnull=False)),
    ("lead_replied_status", ["status"], Q(replied=True)),
    ("lead_replied_category", ["category"], Q(replied=True, category__isnull=False)),
    ("lead_unsubscribed_status", ["status"], Q(unsubscribed=True)),
    ("lead_unsubscribed_category", ["category"], Q(unsubscribed=True, category__isnull=False)),
    ("lead_unsubscribed_replied", [], Q(unsubscribed=True, replied=True)),
]
PLACES = [
    ("campaign_lead_by_status", ["status"], None),
    ("campaign_lead_by_category", ["category"], Q(category__isnull=False)),
    ("campaign_lead_replied", [], Q(replied=True)),
]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("leads", "0012_unsubscribed")]

    operations = [
        *(
            AddPartitionedIndex(
                model_name="lead",
                index=models.Index(fields=["brand", *of, *NEWEST], condition=which, name=name),
            )
            for name, of, which in LEADS
        ),
        *(
            AddPartitionedIndex(
                model_name="campaignlead",
                index=models.Index(
                    fields=["brand", "campaign", *of, *NEWEST_PLACE], condition=which, name=name
                ),
            )
            for name, of, which in PLACES
        ),
    ]
