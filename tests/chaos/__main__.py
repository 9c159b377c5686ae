"""`.venv/bin/python -m tests.chaos [--kills N] [--flushes N] [--restarts N] [--leads N]
[--faults RATE] [--seed N] [--accounts N] [--json]`: backfills under kills of workers, flushes of
Valkey, restarts of PostgreSQL and faults of SmartLead, on servers of its own. Without arguments the
whole table: 100 kills, 3 flushes, 2 restarts (one of them a crash), 5 % faults, 200,000 leads.

Prints what happened and what was counted; exits 1 on any discrepancy: a lead, a place in a
campaign, a message or a counter that is not there exactly once, a lease left, a process that did
not recover by itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from tests.chaos import storm


def main() -> int:
    full = storm.FULL
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    for name in ("kills", "flushes", "restarts", "leads"):
        parser.add_argument(f"--{name}", type=int, default=full[name])
    parser.add_argument("--faults", type=float, default=full["rate"], help="share of the calls")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--accounts", type=int, default=0, help="default: one for 10,000 leads")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = vars(parser.parse_args())
    as_json = asked.pop("json")
    report = storm.run(storm.Table(rate=asked.pop("faults"), **asked))
    print(json.dumps(asdict(report)) if as_json else in_words(report), flush=True)
    return int(bool(report.discrepancies))


def in_words(report: storm.Report) -> str:
    rows = [f"  {name:<24} {value}" for name, value in {**report.done, **report.figures}.items()]
    rows += [f"  WRONG  {words}" for words in report.discrepancies] or ["  exactly once"]
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
