#!/usr/bin/env python
"""Django's command line. `python manage.py up` starts the whole stack."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings")
    from django.core.management import execute_from_command_line  # after the settings' name is set

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
