"""Make the demo data once, and write the logins that `up` prints."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__)
    parser.add_argument("--brands", type=int, default=3, help="how many brands (default 3)")
    parser.add_argument("--leads", type=int, default=20_000, help="of the active brand")
    parser.add_argument("--logins", type=Path, required=True, help="file for the logins")
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings")
    import django

    django.setup()
    from sandbox.demo import story

    asked.logins.write_text(story.tell(brands=asked.brands, leads=asked.leads))


if __name__ == "__main__":
    main()
