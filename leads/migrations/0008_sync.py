"""Regular updates: runs of their own kind, their schedule, and how far each campaign was read."""

from django.db import migrations, models


class Migration(migrations.Migration):
    safe_because = 'the altered field only gains choices, and the constraint allows more than before'

    dependencies = [
        ('leads', '0007_webhooks'),
    ]

    operations = [
        migrations.AddField(
            model_name='backfill',
            name='has_campaigns',
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.AddField(
            model_name='backfill',
            name='kind',
            field=models.CharField(choices=[('full', 'Backfill'), ('sync', 'Update')], db_default='full', default='full', max_length=4),
        ),
        migrations.AddField(
            model_name='campaign',
            name='events_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='campaign',
            name='leads_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='connection',
            name='sync_due_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='connection',
            name='sync_every',
            field=models.PositiveIntegerField(db_default=60, default=60, verbose_name='minutes between updates'),
        ),
        migrations.AddField(
            model_name='connection',
            name='synced_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='cursor',
            name='since',
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name='cursor',
            name='kind',
            field=models.CharField(choices=[('all', 'All leads of the account'), ('leads', 'Leads'), ('created', 'New leads'), ('events', 'Leads with events'), ('replied', 'Leads that replied')], default='leads', max_length=8),
        ),
        migrations.RemoveConstraint(
            model_name='backfill',
            name='one_live_backfill_per_brand',
        ),
        migrations.AddConstraint(
            model_name='backfill',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ('planned', 'running', 'paused')), models.Q(('due_at__isnull', False), ('state', 'parked')), _connector='OR'), fields=('brand',), name='one_live_backfill_per_brand'),
        ),
    ]
