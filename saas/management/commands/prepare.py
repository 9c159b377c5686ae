"""`manage.py prepare`: bring the database up to date for `up`, in one process to load Django once.

Migrations, the catalogue and, the first time, the demo data. Safe to repeat.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Migrate, sync the catalogue and make the demo data once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--brands", type=int, default=3)
        parser.add_argument("--leads", type=int, default=20_000)

    def handle(self, *_: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, skip_checks=True)
        if "sync_catalog" in get_commands():
            call_command("sync_catalog")
        done = settings.VAR / "logins.txt"
        if "demo" in get_commands() and not done.exists():
            call_command("demo", brands=options["brands"], leads=options["leads"])
