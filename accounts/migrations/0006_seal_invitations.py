"""Seal the invitations of sign-ups that were left in the middle.

Who signs up by invitation is logged in and settled at once, so those of the last hour are left to
the code, old or new, that is settling them.
"""

from datetime import timedelta

from django.db import migrations
from django.utils import timezone

from saas import crypto

PLACE = "accounts_pendingsignup.invitation:"


def seal(apps, schema_editor):
    """Safe to repeat: what opens is sealed already."""
    rows = apps.get_model("accounts", "PendingSignup").objects.exclude(invitation="")
    for row in rows.filter(created_at__lt=timezone.now() - timedelta(hours=1)):
        try:
            row.invitation.reveal()
        except crypto.Unopenable:
            clear = row.invitation.token
            _put(rows, row, crypto.seal(clear, context=PLACE))


def open_again(apps, schema_editor):
    rows = apps.get_model("accounts", "PendingSignup").objects.exclude(invitation="")
    for row in rows.all():
        try:
            _put(rows, row, row.invitation.reveal())
        except crypto.Unopenable:  # in clear
            continue


def _put(rows, row, text):
    """Only while the row holds what was read: somebody may settle it meanwhile."""
    same = rows.filter(pk=row.pk, invitation=crypto.as_token(row.invitation.token))
    same.update(invitation=crypto.as_token(text))


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_sealed_invitation")]
    operations = [migrations.RunPython(seal, open_again)]
