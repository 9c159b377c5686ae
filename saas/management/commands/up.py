"""`manage.py up`: the whole stack in one terminal. See saas/embedded/stack.py.

manage.py calls this without setting Django up, because it starts the servers that the settings are
then told about.
"""

from __future__ import annotations

import errno
import sys
from argparse import ArgumentTypeError
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from saas.embedded.machine import remedy
from saas.embedded.stack import Wishes, up
from saas.embedded.state import var
from saas.errors import Misconfigured


def port(text: str) -> int:
    if not text.isdigit() or not 1024 <= int(text) <= 65000:
        raise ArgumentTypeError("choose a port from 1024 to 65000")
    return int(text)


def count(text: str) -> int:
    if not text.isdigit():
        raise ArgumentTypeError("choose a whole number, 0 or more")
    return int(text)


class Command(BaseCommand):
    help = "Start everything: database, cache, sandbox, web, worker, beat, a simulated VPN node."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        default = Wishes()
        parser.add_argument("--port", type=port, default=default.port, help="of the web server")
        parser.add_argument("--fresh", action="store_true", help="forget all data first")
        parser.add_argument(
            "--brands", type=count, default=default.brands, help="in the demo data (made once)"
        )
        parser.add_argument(
            "--leads", type=count, default=default.leads, help="of the active demo brand"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        wishes = Wishes(**{name: options[name] for name in ("port", "fresh", "brands", "leads")})
        try:
            up(wishes, say)
        except Misconfigured as error:
            raise CommandError(f"{error}{remedy(var())}") from error
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise CommandError(
                "The disk is full. Free some space and start again; nothing is lost."
            ) from error


def say(line: str) -> None:
    with suppress(OSError):  # the terminal may be gone; what we do must still be done
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
