"""Tags, notes, saved views, and changes of many leads at once.

The three tables that grow with leads are partitioned as leads are, with their keys partition by
partition (docs/adr/0011). A category that a person chose is marked on the lead.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import leads.partitions
from django.conf import settings
from django.db import migrations, models
from saas.rls import TenantPolicy

TABLES = (
    "leads_tag",
    "leads_bulkjob",
    "leads_note",
    "leads_savedview",
    "leads_leadtag",
    "leads_leadchange",
    "leads_suppression",
)

# table, columns, target; see migration 0002.
KEYS = (
    ("leads_suppression", "brand_id", "accounts_brand (id)"),
    ("leads_leadtag", "brand_id, tag_id", "leads_tag (brand_id, id)"),
    ("leads_note", "brand_id, lead_id", "leads_lead (brand_id, id)"),
)


def key(table: str, columns: str, target: str) -> migrations.RunSQL:
    name = f"{table}_{columns.rpartition(', ')[2]}_key"
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({columns})"
        f" REFERENCES {target} ON DELETE CASCADE",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


def key_to_lead(table: str) -> migrations.RunSQL:
    parts = [f"{number:02d}" for number in range(leads.partitions.PARTITIONS)]
    return migrations.RunSQL(
        [
            f"ALTER TABLE {table}_p{part} ADD CONSTRAINT {table}_p{part}_lead_id_key"
            f" FOREIGN KEY (brand_id, lead_id) REFERENCES leads_lead_p{part} (brand_id, id)"
            " ON DELETE CASCADE"
            for part in parts
        ],
        [f"ALTER TABLE {table}_p{part} DROP CONSTRAINT {table}_p{part}_lead_id_key" for part in parts],
    )

# A tag's leads in the order of their activity are one walk of an index because the tag carries it.
# One statement for all rows of the ingest's: a trigger for each row would cost it a third.
FOLLOW = """
CREATE FUNCTION leads_tags_follow() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  UPDATE leads_leadtag t SET last_activity_at = l.last_activity_at
  FROM changed l
  WHERE t.brand_id = l.brand_id AND t.lead_id = l.id
    AND t.last_activity_at <> l.last_activity_at;
  RETURN NULL;
END $body$;
CREATE TRIGGER tags_follow AFTER UPDATE ON leads_lead REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION leads_tags_follow()
"""
UNFOLLOW = "DROP TRIGGER tags_follow ON leads_lead; DROP FUNCTION leads_tags_follow()"


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_brand_request_key'),
        ('leads', '0010_files'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Tag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=40)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
            ],
        ),
        migrations.AddConstraint(
            model_name='tag',
            constraint=models.UniqueConstraint(models.F('brand'), django.db.models.functions.text.Lower('name'), name='one_tag_per_name'),
        ),
        migrations.AddConstraint(
            model_name='tag',
            constraint=models.UniqueConstraint(fields=('brand', 'id'), name='tag_within_brand'),
        ),
        migrations.CreateModel(
            name='BulkJob',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('lease_token', models.UUIDField(blank=True, editable=False, null=True)),
                ('attempts', models.PositiveIntegerField(default=0, editable=False)),
                ('last_error', models.TextField(blank=True, default='', editable=False)),
                ('what', models.CharField(choices=[('category', 'Set category'), ('tag', 'Add tag'), ('untag', 'Remove tag'), ('delete', 'Delete')], max_length=10)),
                ('state', models.CharField(choices=[('running', 'Running'), ('finished', 'Finished'), ('cancelled', 'Cancelled'), ('failed', 'Failed'), ('undoing', 'Being undone'), ('undone', 'Undone')], default='running', max_length=10)),
                ('request_key', models.UUIDField()),
                ('filters', models.JSONField(default=dict)),
                ('leads', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), null=True, size=None)),
                ('category', models.BigIntegerField(null=True)),
                ('label', models.CharField(blank=True, default='', max_length=200)),
                ('position', models.BigIntegerField(default=0)),
                ('upto', models.BigIntegerField(default=0)),
                ('total', models.BigIntegerField(null=True)),
                ('seen', models.BigIntegerField(default=0)),
                ('changed', models.BigIntegerField(default=0)),
                ('undone', models.BigIntegerField(default=0)),
                ('due_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
                ('requested_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tag', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='leads.tag')),
            ],
        ),
        migrations.AddIndex(
            model_name='bulkjob',
            index=models.Index(condition=models.Q(('state__in', ('running', 'undoing'))), fields=['due_at'], name='bulk_job_due'),
        ),
        migrations.AddConstraint(
            model_name='bulkjob',
            constraint=models.UniqueConstraint(fields=('brand', 'request_key'), name='one_job_per_request'),
        ),
        migrations.AddConstraint(
            model_name='bulkjob',
            constraint=models.UniqueConstraint(fields=('brand', 'id'), name='bulk_job_within_brand'),
        ),
        migrations.CreateModel(
            name='Note',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lead_id', models.BigIntegerField()),
                ('text', models.TextField(max_length=5000)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('edited_at', models.DateTimeField(editable=False, null=True)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
                ('author', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddIndex(
            model_name='note',
            index=models.Index(fields=['brand', 'lead_id', 'created_at'], name='note_by_lead'),
        ),
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveSmallIntegerField()),
                ('name', models.CharField(max_length=60)),
                ('team', models.BooleanField(default=False)),
                ('query', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.brand')),
                ('author', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddConstraint(
            model_name='savedview',
            constraint=models.UniqueConstraint(fields=('brand', 'number'), name='one_view_per_number'),
        ),
        migrations.AddConstraint(
            model_name='savedview',
            constraint=models.CheckConstraint(condition=models.Q(('number__range', (1, 50))), name='fifty_views_of_a_brand'),
        ),
        leads.partitions.CreatePartitioned(
            name='LeadTag',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'tag_id', 'lead_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('lead_id', models.BigIntegerField()),
                ('added_at', models.DateTimeField()),
                ('last_activity_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='accounts.brand')),
                ('tag', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='leads.tag')),
            ],
        ),
        migrations.AddIndex(
            model_name='leadtag',
            index=models.Index(fields=['brand', 'lead_id'], name='lead_tag_by_lead'),
        ),
        migrations.AddIndex(
            model_name='leadtag',
            index=models.Index(fields=['brand', 'tag', '-last_activity_at', '-lead_id'], name='lead_tag_newest'),
        ),
        leads.partitions.CreatePartitioned(
            name='LeadChange',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('id', models.BigIntegerField(db_default=leads.partitions.NextVal(models.Value('leads_leadchange_id_seq')), editable=False)),
                ('lead_id', models.BigIntegerField()),
                ('kind', models.TextField(choices=[('category', 'Category'), ('tag', 'Tag added'), ('untag', 'Tag removed')])),
                ('category', models.BigIntegerField(null=True)),
                ('tag_id', models.BigIntegerField(null=True)),
                ('was', models.JSONField(null=True)),
                ('actor_id', models.BigIntegerField(null=True)),
                ('job_id', models.BigIntegerField(null=True)),
                ('at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='accounts.brand')),
            ],
        ),
        migrations.AddIndex(
            model_name='leadchange',
            index=models.Index(fields=['brand', 'lead_id', 'at'], name='lead_change_by_lead'),
        ),
        migrations.AddIndex(
            model_name='leadchange',
            index=models.Index(condition=models.Q(('job_id__isnull', False)), fields=['brand', 'job_id', 'id'], name='lead_change_by_job'),
        ),
        leads.partitions.CreatePartitioned(
            name='Suppression',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'digest', blank=True, editable=False, primary_key=True, serialize=False)),
                ('digest', models.BinaryField()),
                ('job_id', models.BigIntegerField()),
                ('brand', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='accounts.brand')),
            ],
        ),
        migrations.AddIndex(
            model_name='suppression',
            index=models.Index(fields=['brand', 'job_id'], name='suppression_by_job'),
        ),
        migrations.AddField(
            model_name='lead',
            name='category_set_at',
            field=models.DateTimeField(null=True),
        ),
        *(TenantPolicy(table) for table in TABLES),
        *(key(*each) for each in KEYS),
        key_to_lead("leads_leadtag"),
        key_to_lead("leads_leadchange"),
        migrations.RunSQL(FOLLOW, UNFOLLOW),
    ]
