"""Run by the bench `against_dlt` in dlt's own environment: merge a CSV into PostgreSQL by e-mail.

`python dlt_merge.py FILE CREDENTIALS_FILE FOLDER` prints the seconds that the pipeline took.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import dlt  # type: ignore[import-not-found]  # stands in the bench's own environment

CHUNK = 5000  # rows that the source hands over at once


@dlt.resource(name="leads", write_disposition="merge", primary_key="email")  # type: ignore[untyped-decorator]
def leads(path: str) -> Iterator[list[dict[str, str]]]:
    with Path(path).open(newline="") as file:
        rows = csv.DictReader(file)
        while chunk := list(islice(rows, CHUNK)):
            yield chunk


path, credentials, folder = sys.argv[1:]
pipeline = dlt.pipeline(
    "bench",
    destination=dlt.destinations.postgres(Path(credentials).read_text()),
    dataset_name="dlt_bench",
    pipelines_dir=folder,
)
began = time.perf_counter()
pipeline.run(leads(path))
print(time.perf_counter() - began)
