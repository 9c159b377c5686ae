"""A worker on Stripe's inbox of a test's database, to be killed: `python -m ... DATABASE`."""

from __future__ import annotations

import os
import sys
import time


def main(database: str) -> None:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "saas.settings"
    django.setup()
    from django.db import connections

    from billing import inbox

    connections.settings["default"]["NAME"] = database
    print("READY", flush=True)
    while True:
        inbox.drain(seconds=5.0)
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1])
