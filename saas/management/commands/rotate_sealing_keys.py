"""`manage.py rotate_sealing_keys`: re-seal everything with the first key of SEALING_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from saas import crypto, rotation


class Command(BaseCommand):
    help = (
        "Re-seal every secret with the first key of SEALING_KEYS, in batches, while Harbor runs."
        " Run it once all processes know the new key; an old key may go after a run that"
        " re-sealed nothing."
    )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        unopenable = 0
        for report in rotation.rotate():
            self.stdout.write(f"{report.place}: {report.resealed} re-sealed")
            unopenable += report.unopenable
            if report.unopenable:
                self.stderr.write(f"{report.place}: {report.unopenable} do not open")
        self.stdout.write(f"The current key is {crypto.current_key_id()}.")
        if unopenable:
            raise CommandError(f"{unopenable} values do not open with any key in SEALING_KEYS.")
