"""How fast an export comes in beside dlt, the usual tool for such loads: both take the same CSV of
fresh leads into the same PostgreSQL, dlt by its merge on the e-mail address.

dlt is no dependency of Harbor's: the bench installs it into a folder of its own from the registry
that pip is set up for. HARBOR_BENCH_ROWS sets the rows (200,000).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

from tests.bench import crowd, ingest
from tests.bench.result import Result

ROWS = int(os.environ.get("HARBOR_BENCH_ROWS", "200000"))
DLT = "dlt[postgres]==1.31.0"
QUIET = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
SCRIPT = Path(__file__).with_name("dlt_merge.py")


def run() -> Result:
    with crowd.database() as superuser, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "leads.csv"
        with file.open("wb") as out:
            out.writelines(crowd.export(range(ROWS)))
        place = crowd.brand()
        ours = ROWS / crowd.timed(lambda: ingest.take(place, _chunks(file)))
        theirs = ROWS / _dlt(file, superuser, Path(folder))
    return Result(
        bench="against_dlt",
        figures={"export_rows_per_s": ours},
        limit={"dlt_rows_per_s": theirs},
        ratios={"export_to_dlt": ours / theirs},
        reach={"export_to_dlt": 6.0},
    )


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while chunk := source.read(64 * 1024):
            yield chunk


def _dlt(file: Path, superuser: str, folder: Path) -> float:
    """Seconds that dlt takes for the file."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", DLT], check=True, stdout=sys.stderr)
    credentials = folder / "credentials"
    credentials.write_text(superuser)
    done = subprocess.run(
        [python, SCRIPT, file, credentials, folder / "pipelines"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **QUIET},
        cwd=folder,
    )
    return float(done.stdout.split()[-1])
