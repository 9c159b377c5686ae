"""Imports of CSV files: the job, its file in chunks, its addresses and the rows left out."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from saas.rls import TenantPolicy

TABLES = ("leads_import", "leads_importchunk", "leads_importaddress", "leads_importrejection")


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_brand_request_key'),
        ('leads', '0009_first_syncs'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Import',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('lease_token', models.UUIDField(blank=True, editable=False, null=True)),
                ('attempts', models.PositiveIntegerField(default=0, editable=False)),
                ('last_error', models.TextField(blank=True, default='', editable=False)),
                ('name', models.CharField(max_length=255)),
                ('size', models.PositiveBigIntegerField(default=0)),
                ('encoding', models.CharField(choices=[('utf-8', 'UTF-8'), ('windows-1252', 'Windows-1252')], default='utf-8', max_length=12)),
                ('delimiter', models.CharField(choices=[(',', 'Comma'), (';', 'Semicolon'), ('\t', 'Tab')], default=',', max_length=1)),
                ('columns', models.JSONField(default=list)),
                ('mapping', models.JSONField(default=list)),
                ('state', models.CharField(choices=[('uploading', 'Uploading'), ('mapping', 'Columns'), ('checking', 'Checking'), ('checked', 'Checked'), ('running', 'Importing'), ('finished', 'Finished'), ('cancelled', 'Cancelled'), ('failed', 'Failed')], default='uploading', max_length=10)),
                ('position', models.PositiveBigIntegerField(default=0)),
                ('line', models.PositiveBigIntegerField(default=1)),
                ('rows', models.PositiveBigIntegerField(default=0)),
                ('new', models.PositiveBigIntegerField(default=0)),
                ('known', models.PositiveBigIntegerField(default=0)),
                ('bad', models.PositiveBigIntegerField(default=0)),
                ('done', models.PositiveBigIntegerField(default=0)),
                ('leads_new', models.PositiveBigIntegerField(default=0)),
                ('leads_changed', models.PositiveBigIntegerField(default=0)),
                ('left_out', models.PositiveBigIntegerField(default=0)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('touched_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('pass_at', models.DateTimeField(null=True)),
                ('started_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('emptied_at', models.DateTimeField(null=True)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
                ('requested_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='ImportAddress',
            fields=[
                ('pk', models.CompositePrimaryKey('job_id', 'email', blank=True, editable=False, primary_key=True, serialize=False)),
                ('email', models.TextField(db_collation='C')),
                ('line', models.BigIntegerField()),
                ('brand', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
                ('job', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='leads.import')),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='ImportChunk',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('data', models.BinaryField()),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
                ('job', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='leads.import')),
            ],
        ),
        migrations.CreateModel(
            name='ImportRejection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.BigIntegerField()),
                ('reason', models.CharField(max_length=40)),
                ('detail', models.CharField(max_length=300)),
                ('cells', models.JSONField(default=list)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
                ('job', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='leads.import')),
            ],
        ),
        migrations.AddIndex(
            model_name='import',
            index=models.Index(condition=models.Q(('emptied_at', None)), fields=['touched_at'], name='import_unfinished'),
        ),
        migrations.AddConstraint(
            model_name='import',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ('uploading', 'mapping', 'checking', 'checked', 'running'))), fields=('brand',), name='one_live_import_per_brand'),
        ),
        migrations.AddConstraint(
            model_name='importchunk',
            constraint=models.UniqueConstraint(fields=('job', 'number'), name='one_row_per_chunk'),
        ),
        migrations.AddConstraint(
            model_name='importrejection',
            constraint=models.UniqueConstraint(fields=('job', 'line'), name='one_rejection_per_line'),
        ),
        # Out of line and as it is: a chunk is read whole, once, so packing it would only cost time.
        migrations.RunSQL(
            "ALTER TABLE leads_importchunk ALTER COLUMN data SET STORAGE EXTERNAL",
            "ALTER TABLE leads_importchunk ALTER COLUMN data SET STORAGE EXTENDED",
        ),
        *(TenantPolicy(table) for table in TABLES),
    ]
