"""Imports count the rows whose leads were deleted before."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('leads', '0015_history'),
    ]

    operations = [
        migrations.AddField(
            model_name='import',
            name='deleted',
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
    ]
