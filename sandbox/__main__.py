"""`python -m sandbox --port P --state DIR`: see README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sandbox.server import run


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is 0 to 65535")
    return port


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="Harbor's stand-ins, on loopback only."
    )
    parser.add_argument(
        "--port", type=_port, default=8100, help="for HTTP; 0 takes a free one (default 8100)"
    )
    parser.add_argument(
        "--smtp-port", type=_port, default=0, help="for SMTP; 0 takes a free one (default 0)"
    )
    parser.add_argument(
        "--state", type=Path, required=True, help="folder for what must survive a restart"
    )
    parser.add_argument(
        "--app-url", default="http://127.0.0.1:8000", help="where Harbor is, for webhooks and links"
    )
    parser.add_argument(
        "--contract",
        type=Path,
        help="JSON contract that Stripe's answers and requests are checked against",
    )
    asked = parser.parse_args()
    try:
        run(
            port=asked.port,
            smtp_port=asked.smtp_port,
            state=asked.state,
            app_url=asked.app_url.rstrip("/"),
            contract=asked.contract,
        )
    except OSError as error:
        print(
            f"The sandbox can't start: {error}. Choose another --port, --smtp-port or --state.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
