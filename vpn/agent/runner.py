"""Starting and stopping an agent from a command line, whatever tunnel it drives."""

from __future__ import annotations

import argparse
import logging
import signal
from pathlib import Path
from types import FrameType

from vpn.agent.api import Api
from vpn.agent.driver import Driver
from vpn.agent.loop import Agent, Stopped

# httpx logs every URL; the agent says itself what matters.
logging.getLogger("httpx").setLevel(logging.WARNING)


def add_arguments(parser: argparse.ArgumentParser, *, report_every: float = 30.0) -> None:
    """Add the options that every agent takes."""
    parser.add_argument(
        "--api", required=True, help="Harbor's address, like https://harbor.example"
    )
    parser.add_argument(
        "--token-file", required=True, type=Path, help="holds the token that the admin showed once"
    )
    parser.add_argument(
        "--state", default=Path("/var/lib/harbor-vpn"), type=Path, help="key and counters (0700)"
    )
    parser.add_argument("--report-every", default=report_every, type=float, metavar="SECONDS")


def run(driver: Driver, options: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT; a wait ends at once, a step under way is finished."""
    options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    api = Api(options.api, options.token_file.read_text().strip())
    agent = Agent(api, driver, options.state, report_every=options.report_every)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        agent.stop()
        if agent.waiting:
            agent.waiting = False
            raise Stopped

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    try:
        agent.run()
    finally:
        api.close()
