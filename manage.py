#!/usr/bin/env python
"""Django's command line. `python manage.py up` starts the whole stack."""

import os
import sys


def main() -> None:
    if sys.argv[1:2] == ["up"]:
        # Without settings: it starts the servers that they are then told about.
        from saas.management.commands.up import Command

        Command().run_from_argv(sys.argv)
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
