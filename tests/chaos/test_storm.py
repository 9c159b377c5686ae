"""A backfill outlives its workers, its broker and its database: everything comes in exactly once.

The same run as `python -m tests.chaos`, on servers of its own, small enough for every build.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(600)]
TABLE = {"kills": 10, "flushes": 1, "restarts": 1, "leads": 2_000, "faults": 0.05, "seed": 7}


def test_everything_exactly_once_under_kills_flushes_restarts_and_faults() -> None:
    asked = [part for name, value in TABLE.items() for part in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--json", *asked],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["discrepancies"] == [], done.stderr
    assert done.returncode == 0
    assert report["done"] == {"kills": 10, "flushes": 1, "restarts": 1}
    figures = report["figures"]
    assert figures["leads"] > 0.99 * TABLE["leads"]  # some are malformed
    assert figures["messages"] > figures["leads"]
    assert {"429", "500", "524", "html"} <= figures["faults"].keys()
