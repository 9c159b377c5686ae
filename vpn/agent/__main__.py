"""`python -m vpn.agent`: run the agent of a WireGuard node."""

from __future__ import annotations

import argparse
import logging

from vpn.agent import runner
from vpn.agent.uapi import UapiDriver


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m vpn.agent", description=__doc__)
    runner.add_arguments(parser)
    parser.add_argument("--interface", default="wg0", help="the WireGuard interface to drive")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    runner.run(UapiDriver(options.interface), options)


if __name__ == "__main__":
    main()
