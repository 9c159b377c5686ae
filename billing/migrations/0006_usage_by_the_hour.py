from django.db import migrations, models
from django.utils import timezone


class Migration(migrations.Migration):

    safe_because = 'nothing wrote a row of usage before: no code that runs reads or fills the column that goes'

    dependencies = [
        ('billing', '0005_offers'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='usage',
            name='one_usage_per_key',
        ),
        migrations.RemoveIndex(
            model_name='usage',
            name='billing_usage_waiting',
        ),
        migrations.RemoveField(
            model_name='usage',
            name='key',
        ),
        migrations.AddField(
            model_name='usage',
            name='since',
            field=models.DateTimeField(default=timezone.now),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='usage',
            name='subscription',
            field=models.CharField(default='', max_length=255),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name='usage',
            constraint=models.UniqueConstraint(condition=models.Q(('batch', None)), fields=('brand', 'subscription', 'since'), name='one_waiting_usage_per_hour'),
        ),
    ]
