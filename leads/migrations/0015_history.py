"""Plans with a limited history: how far back the activity of each campaign's leads is known."""

from django.db import migrations, models


class Migration(migrations.Migration):
    safe_because = 'the altered field only gains a choice'

    dependencies = [
        ('leads', '0014_find'),
    ]

    operations = [
        migrations.AddField(
            model_name='campaign',
            name='active_from',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='cursor',
            name='kind',
            field=models.CharField(choices=[('all', 'All leads of the account'), ('leads', 'Leads'), ('created', 'New leads'), ('events', 'Leads with events'), ('replied', 'Leads that replied'), ('active', "Leads with events within the plan's history")], default='leads', max_length=8),
        ),
    ]
