"""manage.py sync_catalog: bring the products and prices of billing/catalog.py to Stripe."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import catalog_sync
from saas.errors import HarborError


class Command(BaseCommand):
    help = "Show all in which Stripe differs from the catalog, then mend it. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="show the differences only")
        parser.add_argument("--yes", action="store_true", help="don't ask at a terminal")

    def handle(self, *_: Any, dry_run: bool, yes: bool, **__: Any) -> None:
        try:
            diff = catalog_sync.diff()
            self._show(diff)
            if diff.changes and not dry_run:
                self._apply(diff, yes=yes)
        except HarborError as e:
            raise CommandError(str(e)) from e
        if diff.conflicts:
            raise CommandError("Nothing was changed about these prices.")

    def _show(self, diff: catalog_sync.Diff) -> None:
        for change in diff.changes:
            self.stdout.write(f"{change.sign} {change.text}")
        for conflict in diff.conflicts:
            self.stderr.write(f"! {conflict}")
        if not diff.changes and not diff.conflicts:
            self.stdout.write("The catalog at Stripe is complete.")

    def _apply(self, diff: catalog_sync.Diff, *, yes: bool) -> None:
        """Carry the changes out; ask before where a person can answer."""
        asks = not yes and sys.stdin.isatty() and self.stdout.isatty()
        if asks and input("Bring this to Stripe? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was changed.")
        for change in diff.changes:
            catalog_sync.apply(change)
