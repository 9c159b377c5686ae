"""Empty on purpose: 0001_initial already holds what upstream does here."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("djstripe", "0001_initial")]
    operations = []
