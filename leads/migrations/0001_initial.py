"""The tables of leads; the three that grow are partitioned by brand."""

import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
import leads.partitions
import saas.crypto
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0002_policies'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL('CREATE EXTENSION IF NOT EXISTS pg_trgm', migrations.RunSQL.noop),
        migrations.CreateModel(
            name='Connection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('api_key', saas.crypto.SealedField(blank=True, default='')),
                ('key_hint', models.CharField(blank=True, default='', max_length=4)),
                ('state', models.CharField(choices=[('working', 'Connected'), ('refused', 'Key refused'), ('disconnected', 'Disconnected')], default='working', max_length=12)),
                ('calls_per_minute', models.PositiveIntegerField(default=50)),
                ('in_flight', models.PositiveSmallIntegerField(default=5, verbose_name='calls at once')),
                ('checked_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
            ],
        ),
        migrations.CreateModel(
            name='Campaign',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('remote_id', models.BigIntegerField()),
                ('name', models.CharField(max_length=300)),
                ('status', models.CharField(blank=True, default='', max_length=20)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='leads.connection')),
            ],
        ),
        migrations.CreateModel(
            name='Backfill',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('lease_token', models.UUIDField(blank=True, editable=False, null=True)),
                ('attempts', models.PositiveIntegerField(default=0, editable=False)),
                ('last_error', models.TextField(blank=True, default='', editable=False)),
                ('state', models.CharField(choices=[('planned', 'Planned'), ('running', 'Running'), ('paused', 'Paused'), ('parked', 'Waiting'), ('cancelled', 'Cancelled'), ('finished', 'Finished'), ('failed', 'Failed')], default='planned', max_length=10)),
                ('phase', models.CharField(choices=[('leads', 'Leads'), ('history', 'Messages'), ('done', 'Done')], default='leads', max_length=8)),
                ('planned_campaigns', models.PositiveIntegerField(default=0)),
                ('planned_leads', models.PositiveBigIntegerField(default=0)),
                ('planned_calls', models.PositiveBigIntegerField(default=0)),
                ('planned_seconds', models.PositiveBigIntegerField(default=0)),
                ('plan_is_exact', models.BooleanField(default=True)),
                ('calls', models.PositiveBigIntegerField(default=0)),
                ('leads_seen', models.PositiveBigIntegerField(default=0)),
                ('leads_new', models.PositiveBigIntegerField(default=0)),
                ('leads_changed', models.PositiveBigIntegerField(default=0)),
                ('messages_new', models.PositiveBigIntegerField(default=0)),
                ('rejected', models.PositiveBigIntegerField(default=0)),
                ('history_total', models.PositiveBigIntegerField(null=True)),
                ('history_done', models.PositiveBigIntegerField(default=0)),
                ('history_since', models.DateTimeField(null=True)),
                ('has_categories', models.BooleanField(default=False)),
                ('wait', models.CharField(blank=True, choices=[('window', 'Your rate limit'), ('in_flight', 'Calls under way'), ('vendor', 'SmartLead asked us to wait'), ('breaker', 'SmartLead is not answering'), ('fault', 'A call failed'), ('coordination', 'Our own coordination'), ('trial_expired', 'Trial over'), ('quota_exceeded', 'Plan is full'), ('suspended', 'Subscription paused'), ('bad_key', 'Key refused')], default='', max_length=16)),
                ('due_at', models.DateTimeField(blank=True, null=True)),
                ('pushbacks', models.PositiveIntegerField(default=0)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
                ('requested_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='leads.connection')),
            ],
        ),
        migrations.CreateModel(
            name='Cursor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('leads', 'Leads'), ('replied', 'Leads that replied')], default='leads', max_length=8)),
                ('state', models.CharField(choices=[('open', 'Open'), ('done', 'Done'), ('gone', 'Deleted at SmartLead'), ('skipped', 'Not readable')], default='open', max_length=8)),
                ('position', models.PositiveBigIntegerField(default=0)),
                ('total', models.PositiveBigIntegerField(null=True)),
                ('rewinds', models.PositiveSmallIntegerField(default=0)),
                ('failures', models.PositiveSmallIntegerField(default=0)),
                ('backfill', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='cursors', to='leads.backfill')),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='leads.campaign')),
            ],
        ),
        leads.partitions.CreatePartitioned(
            name='Lead',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('id', models.BigIntegerField(db_default=leads.partitions.NextVal(models.Value('leads_lead_id_seq')), editable=False)),
                ('email', models.TextField(db_collation='C')),
                ('first_name', models.TextField(default='')),
                ('last_name', models.TextField(default='')),
                ('company', models.TextField(default='')),
                ('phone', models.TextField(default='')),
                ('website', models.TextField(default='')),
                ('location', models.TextField(default='')),
                ('linkedin', models.TextField(default='')),
                ('company_url', models.TextField(default='')),
                ('custom', models.JSONField(default=dict)),
                ('unsubscribed', models.BooleanField(default=False)),
                ('status', models.TextField(default='')),
                ('category', models.BigIntegerField(null=True)),
                ('replied', models.BooleanField(default=False)),
                ('joined_at', models.DateTimeField()),
                ('last_activity_at', models.DateTimeField()),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('search', models.GeneratedField(db_persist=True, expression=models.Func('first_name', 'last_name', 'company', arg_joiner=" || ' ' || ", output_field=models.TextField(), template='lower(%(expressions)s)'), output_field=models.TextField())),
                ('brand', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='accounts.brand')),
            ],
        ),
        leads.partitions.CreatePartitioned(
            name='Message',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('id', models.BigIntegerField(db_default=leads.partitions.NextVal(models.Value('leads_message_id_seq')), editable=False)),
                ('lead_id', models.BigIntegerField()),
                ('key', models.TextField(db_collation='C')),
                ('direction', models.TextField(choices=[('sent', 'Sent'), ('reply', 'Reply')])),
                ('sent_at', models.DateTimeField()),
                ('sender', models.TextField(default='')),
                ('recipient', models.TextField(default='')),
                ('subject', models.TextField(default='')),
                ('body', models.TextField(default='')),
                ('step', models.SmallIntegerField(null=True)),
                ('opens', models.IntegerField(default=0)),
                ('clicks', models.IntegerField(default=0)),
                ('brand', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='accounts.brand')),
                ('campaign', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='leads.campaign')),
            ],
        ),
        migrations.CreateModel(
            name='Rate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('calls', models.PositiveIntegerField(default=0)),
                ('leads', models.PositiveIntegerField(default=0)),
                ('messages', models.PositiveIntegerField(default=0)),
                ('backfill', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='leads.backfill')),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
            ],
        ),
        migrations.CreateModel(
            name='Rejection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=20)),
                ('reason', models.CharField(max_length=40)),
                ('detail', models.CharField(blank=True, default='', max_length=300)),
                ('excerpt', models.TextField(blank=True, default='')),
                ('digest', models.CharField(max_length=32)),
                ('seen', models.PositiveIntegerField(default=1)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('backfill', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='leads.backfill')),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
                ('campaign', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='leads.campaign')),
            ],
        ),
        leads.partitions.CreatePartitioned(
            name='CampaignLead',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'campaign_id', 'lead_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('lead_id', models.BigIntegerField()),
                ('remote_lead_id', models.BigIntegerField(null=True)),
                ('map_id', models.BigIntegerField(null=True)),
                ('status', models.TextField(default='')),
                ('category', models.BigIntegerField(null=True)),
                ('replied', models.BooleanField(default=False)),
                ('joined_at', models.DateTimeField()),
                ('last_activity_at', models.DateTimeField()),
                ('history_rank', models.SmallIntegerField()),
                ('history_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='accounts.brand')),
                ('campaign', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='leads.campaign')),
            ],
            options={
                'indexes': [models.Index(fields=['brand', 'campaign', '-last_activity_at', '-lead_id'], name='campaign_lead_newest'), models.Index(fields=['brand', 'lead_id'], name='campaign_lead_by_lead'), models.Index(fields=['brand', 'history_rank', 'history_at'], name='campaign_lead_history')],
            },
        ),
        migrations.CreateModel(
            name='Category',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('remote_id', models.BigIntegerField()),
                ('name', models.CharField(max_length=200)),
                ('sentiment', models.CharField(blank=True, default='', max_length=20)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
            ],
            options={
                'verbose_name_plural': 'categories',
                'constraints': [models.UniqueConstraint(fields=('brand', 'remote_id'), name='one_row_per_category')],
            },
        ),
        migrations.AddConstraint(
            model_name='connection',
            constraint=models.UniqueConstraint(fields=('brand',), name='one_connection_per_brand'),
        ),
        migrations.AddConstraint(
            model_name='connection',
            constraint=models.CheckConstraint(condition=models.Q(('calls_per_minute__range', (1, 60000)), ('in_flight__range', (1, 20))), name='connection_limits_in_range'),
        ),
        migrations.AddConstraint(
            model_name='campaign',
            constraint=models.UniqueConstraint(fields=('brand', 'connection', 'remote_id'), name='one_row_per_campaign'),
        ),
        migrations.AddConstraint(
            model_name='campaign',
            constraint=models.UniqueConstraint(fields=('brand', 'id'), name='campaign_within_brand'),
        ),
        migrations.AddIndex(
            model_name='backfill',
            index=models.Index(condition=models.Q(('state__in', ('running', 'parked'))), fields=['due_at'], name='backfill_due'),
        ),
        migrations.AddConstraint(
            model_name='backfill',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ('planned', 'running', 'paused', 'parked'))), fields=('brand',), name='one_live_backfill_per_brand'),
        ),
        migrations.AddConstraint(
            model_name='cursor',
            constraint=models.UniqueConstraint(fields=('backfill', 'campaign', 'kind'), name='one_cursor_per_campaign_and_kind'),
        ),
        migrations.AddIndex(
            model_name='lead',
            index=models.Index(fields=['brand', '-last_activity_at', '-id'], name='lead_newest'),
        ),
        migrations.AddIndex(
            model_name='lead',
            index=models.Index(fields=['brand', 'status', '-last_activity_at', '-id'], name='lead_by_status'),
        ),
        migrations.AddIndex(
            model_name='lead',
            index=models.Index(condition=models.Q(('category__isnull', False)), fields=['brand', 'category', '-last_activity_at', '-id'], name='lead_by_category'),
        ),
        migrations.AddIndex(
            model_name='lead',
            index=models.Index(condition=models.Q(('replied', True)), fields=['brand', '-last_activity_at', '-id'], name='lead_replied'),
        ),
        migrations.AddIndex(
            model_name='lead',
            index=django.contrib.postgres.indexes.GinIndex(fields=['search'], name='lead_search', opclasses=['gin_trgm_ops']),
        ),
        migrations.AddConstraint(
            model_name='lead',
            constraint=models.UniqueConstraint(fields=('brand', 'email'), name='one_lead_per_email'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.UniqueConstraint(fields=('brand', 'lead_id', 'campaign', 'key'), name='one_row_per_message'),
        ),
        migrations.AddConstraint(
            model_name='rate',
            constraint=models.UniqueConstraint(fields=('backfill', 'at'), name='one_rate_per_bucket'),
        ),
        migrations.AddConstraint(
            model_name='rejection',
            constraint=models.UniqueConstraint(fields=('brand', 'source', 'digest'), name='one_row_per_rejection'),
        ),
    ]
