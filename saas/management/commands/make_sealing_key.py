"""`manage.py make_sealing_key`: print a new key for SEALING_KEYS."""

from __future__ import annotations

import base64
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from saas.crypto import KEY_BYTES


class Command(BaseCommand):
    help = (
        "Print a new sealing key as `id:base64`. Put it first in SEALING_KEYS, keep the old ones."
    )
    requires_system_checks: list[str] = []  # the keys may be what is missing

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--id", default="", help="the key's name (default: today's date)")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        key_id = options["id"] or timezone.now().strftime("k%Y%m%d")
        self.stdout.write(f"{key_id}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}")
