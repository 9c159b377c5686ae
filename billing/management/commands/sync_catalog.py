"""manage.py sync_catalog: bring the products and prices of billing/catalog.py to Stripe."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import catalog_sync
from saas.errors import HarborError


class Command(BaseCommand):
    help = "Show what Stripe lacks of the catalog, and create it. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="show the differences only")

    def handle(self, *_: Any, dry_run: bool, **__: Any) -> None:
        try:
            diff = catalog_sync.diff()
            for change in diff.changes:
                self.stdout.write(f"+ {change.text}")
                if not dry_run:
                    catalog_sync.apply(change)
        except HarborError as e:
            raise CommandError(str(e)) from e
        for conflict in diff.conflicts:
            self.stderr.write(f"! {conflict}")
        if diff.conflicts:
            raise CommandError("Nothing was changed about these prices.")
        if not diff.changes:
            self.stdout.write("The catalog at Stripe is complete.")
