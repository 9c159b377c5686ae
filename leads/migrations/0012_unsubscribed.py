"""The list of who unsubscribed walks an index of its own; made without stopping the writers."""

from django.db import migrations, models
from leads.partitions import AddPartitionedIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("leads", "0011_work")]

    operations = [
        AddPartitionedIndex(
            model_name="lead",
            index=models.Index(
                fields=["brand", "-last_activity_at", "-id"],
                condition=models.Q(unsubscribed=True),
                name="lead_unsubscribed",
            ),
        ),
    ]
