"""`python -m sandbox.node --api http://127.0.0.1:8000 --token-file FILE --state DIR`"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from sandbox.node.traffic import BusyDriver
from vpn.agent import runner


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.node", description=__doc__)
    runner.add_arguments(parser, report_every=5.0)
    parser.set_defaults(state=Path("var/node"))
    logging.basicConfig(level=logging.INFO, format="node: %(message)s")
    runner.run(BusyDriver(), parser.parse_args())


if __name__ == "__main__":
    main()
