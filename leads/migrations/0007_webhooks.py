"""SmartLead's webhooks: addresses and inbox, and since when categories and statuses hold."""

import django.db.models.deletion
import django.db.models.functions.datetime
import saas.crypto
from django.db import migrations, models

from saas.rls import TenantPolicy


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_brand_request_key'),
        ('leads', '0006_account'),
    ]

    operations = [
        migrations.AddField(
            model_name='campaign',
            name='hook_failures',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name='campaign',
            name='hook_for',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='campaign',
            name='hook_id',
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='campaign',
            name='status_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='campaignlead',
            name='category_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='lead',
            name='category_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('lease_token', models.UUIDField(blank=True, editable=False, null=True)),
                ('key', models.CharField(max_length=64)),
                ('type', models.CharField(max_length=60)),
                ('body', models.TextField()),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('state', models.CharField(choices=[('pending', 'Waiting'), ('done', 'Done'), ('parked', 'Given up')], db_default='pending', default='pending', max_length=8)),
                ('next_attempt_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('processed_at', models.DateTimeField(null=True)),
                ('note', models.CharField(blank=True, db_default='', default='', max_length=100)),
                ('attempts', models.PositiveIntegerField(db_default=0, default=0, editable=False)),
                ('last_error', models.TextField(blank=True, db_default='', default='', editable=False)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
            ],
            options={
                'verbose_name': 'SmartLead event',
                'indexes': [models.Index(condition=models.Q(('state', 'pending')), fields=['brand', 'next_attempt_at'], name='delivery_due'), models.Index(fields=['brand', '-received_at'], name='delivery_newest'), models.Index(condition=models.Q(('state', 'done')), fields=['processed_at'], name='delivery_done')],
                'constraints': [models.UniqueConstraint(fields=('brand', 'key'), name='one_row_per_smartlead_event')],
            },
        ),
        migrations.CreateModel(
            name='Hook',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('lease_token', models.UUIDField(blank=True, editable=False, null=True)),
                ('attempts', models.PositiveIntegerField(default=0, editable=False)),
                ('last_error', models.TextField(blank=True, default='', editable=False)),
                ('token_hash', models.CharField(max_length=64)),
                ('token', saas.crypto.SealedField()),
                ('secret', saas.crypto.SealedField(blank=True, default='')),
                ('managed', models.BooleanField(default=False)),
                ('due_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('rotated_at', models.DateTimeField(blank=True, null=True)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
                ('connection', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='hook', to='leads.connection')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at'], name='hook_due')],
                'constraints': [models.UniqueConstraint(fields=('token_hash',), name='one_hook_per_token')],
            },
        ),
        TenantPolicy('leads_hook'),
        TenantPolicy('leads_delivery'),
    ]
