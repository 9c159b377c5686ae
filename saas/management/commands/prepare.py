"""`manage.py prepare`: bring the database up to date for `up`, in one process to load Django once.

Migrations and the catalogue. Safe to repeat.
"""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Migrate and sync the catalogue."

    def handle(self, *_: Any, **__: Any) -> None:
        call_command("migrate", interactive=False, skip_checks=True)
        call_command("sync_catalog", yes=True)
