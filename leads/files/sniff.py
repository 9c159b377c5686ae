"""What a file is, from its bytes: its encoding while it streams in, its delimiter and its header.

It is kept as UTF-8 or as it came, so that every line ends in one byte and a job can go on at any
of them: UTF-16 is rewritten on the way in, a byte order mark is dropped.
"""

from __future__ import annotations

import codecs
from collections import Counter
from dataclasses import dataclass
from itertools import islice

from leads.ingest.csvtext import Record, numbered
from leads.models import Import
from saas.errors import Refused

LOOKED_AT = 4096  # bytes that tell the encoding
PREVIEW = 6  # rows that are shown
JUDGED = 20  # rows that a delimiter is judged by
MOST_COLUMNS = 200
LONGEST_NAME = 200
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"),
         (codecs.BOM_UTF16_BE, "utf-16-be"))  # fmt: skip


class Intake:
    """Takes the bytes as they come and gives those to keep. `encoding` is final after `finish`."""

    def __init__(self) -> None:
        self._head: bytes | None = b""
        self._wide: codecs.IncrementalDecoder | None = None
        self._checker: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()

    @property
    def encoding(self) -> Import.Encoding:
        return Import.Encoding.UTF8 if self._checker else Import.Encoding.WINDOWS

    def feed(self, data: bytes) -> bytes:
        """Take more; what is to be kept may come with a later call."""
        if self._head is not None:
            self._head += data
            if len(self._head) < LOOKED_AT:
                return b""
            data = self._begin()
        return self._keep(data, final=False)

    def finish(self) -> bytes:
        """Return what is still to be kept."""
        return self._keep(b"" if self._head is None else self._begin(), final=True)

    def _begin(self) -> bytes:
        head, self._head = self._head or b"", None
        mark, name = next(((m, n) for m, n in MARKS if head.startswith(m)), (b"", _unmarked(head)))
        if name.startswith("utf-16"):
            self._wide = codecs.getincrementaldecoder(name)("replace")
        return head[len(mark) :]

    def _keep(self, data: bytes, *, final: bool) -> bytes:
        if self._wide:
            return self._wide.decode(data, final).encode("utf-8", "replace")
        if self._checker:
            try:
                self._checker.decode(data, final)
            except UnicodeDecodeError:
                self._checker = None
        return data


def _unmarked(head: bytes) -> str:
    """Tell UTF-16 without its mark by the empty half of its letters."""
    sample = head[: len(head) // 2 * 2]
    for name, half in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[::2])):
        if len(sample) > 8 and half.count(0) > len(half) * 0.7:
            return name
    return "utf-8"


@dataclass(frozen=True)
class Table:
    """The beginning of a file: its columns, and the first rows of as many cells."""

    columns: list[str]
    rows: list[list[str]]


def delimiter(start: bytes, encoding: str) -> str:
    """Return the delimiter that cuts the first rows into the most columns of one number."""

    def columns(candidate: str) -> tuple[int, int]:
        found = islice(numbered([start], encoding=encoding, delimiter=candidate), JUDGED)
        widths = Counter(len(record.fields) for record in found if not record.fault)
        [(width, times)] = widths.most_common(1) or [(1, 0)]
        return (times, width) if width > 1 else (0, 1)

    return max(Import.Delimiter.values, key=columns)


def table(start: bytes, encoding: str, separator: str) -> Table:
    """Read the header and the first rows. Raises Refused, in words, for what is no table."""
    records = numbered([start], encoding=encoding, delimiter=separator)
    header = next(records, None)
    _refuse_what_is_none(header, start)
    columns = [name.strip()[:LONGEST_NAME] for name in header.fields] if header else []
    first = list(islice(records, PREVIEW))
    if not first:
        raise Refused("no_rows", "The file has a first line with names, and nothing below it.")
    return Table(columns, [_even(row.fields, len(columns)) for row in first if not row.fault])


def _refuse_what_is_none(header: Record | None, start: bytes) -> None:
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Refused("workbook", "This is a workbook. Save it as CSV (UTF-8), and upload that.")
    if header is None:
        raise Refused("empty", "The file is empty.")
    if header.fault:
        raise Refused("no_csv", f"This is not a CSV file we can read. {header.fault}")
    if any("\x00" in name for name in header.fields):
        raise Refused("no_csv", "This is not a CSV file: its first line is not text.")
    if len(header.fields) > MOST_COLUMNS:
        words = f"The file has {len(header.fields)} columns. We read up to {MOST_COLUMNS}."
        raise Refused("too_many_columns", words)


def _even(cells: list[str], width: int) -> list[str]:
    return (cells + [""] * width)[:width]
