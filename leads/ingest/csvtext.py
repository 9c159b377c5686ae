"""CSV as a stream: bytes in, records out, in constant memory. Nothing it meets is fatal.

Bytes that are no UTF-8 become U+FFFD; a line that the csv module refuses is handed out as the error
that it raised. A record may span lines inside quotes, up to LONGEST_RECORD characters.
"""

from __future__ import annotations

import codecs
import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LONGEST_FIELD = 262_144
LONGEST_LINE = 1_000_000  # characters without a line break: more is no CSV
LONGEST_RECORD = 262_144  # bytes: a quote that is still open after so many never closes
FORMULA_STARTS = frozenset("=+-@\t\r")
UNCLOSED = "A quote opens in this line and never closes."


class NotCsv(Exception):
    """What comes is no CSV at all; the message says why in a sentence."""


def lines(
    chunks: Iterable[bytes], *, encoding: str = "utf-8", errors: str = "replace"
) -> Iterator[str]:
    """Split into lines at \\n alone, keeping it; a byte order mark is dropped. Raises NotCsv."""
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    rest, first = "", True
    for chunk in chunks:
        text = rest + decoder.decode(chunk)
        if first and text:
            text, first = text.removeprefix("\ufeff"), False
        *whole, rest = text.split("\n")
        for line in whole:
            yield line + "\n"
        if len(rest) > LONGEST_LINE:
            raise NotCsv("One of its lines has no end.")
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest


def records(source: Iterable[str], *, delimiter: str = ",") -> Iterator[list[str] | csv.Error]:
    """Yield the fields of each record, or the error in its place. Empty lines are passed over."""
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(source, delimiter=delimiter)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as e:
            yield e
        else:
            if fields:
                yield fields


class Broken(Exception):
    """A record that can't be read; the message is a sentence for the person."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file: the number of its first line, its fields or its `fault` in their place,
    and where the next one begins: at byte `end`, in line `next_line`."""

    line: int
    fields: list[str]
    fault: str
    end: int
    next_line: int


def numbered(
    chunks: Iterable[bytes],
    *,
    encoding: str = "utf-8",
    delimiter: str = ",",
    position: int = 0,
    line: int = 1,
) -> Iterator[Record]:
    """Yield the records of a file whose lines end in \\n (any encoding that leaves \\n one byte).

    `chunks` begin at byte `position` of the file, in line `line`: where a record ended. After one
    that can't be read (a quote that never closes, a line without end) only its first line is lost;
    reading goes on with the next. Records whose cells are all empty are passed over. Memory: a
    chunk and LONGEST_LINE.
    """
    csv.field_size_limit(LONGEST_FIELD)
    source = _Lines(chunks, encoding)
    reader = csv.reader(source, delimiter=delimiter)
    while True:
        fields, fault = [], ""
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (Broken, csv.Error) as e:
            fault = UNCLOSED if source.give_back() else _in_words(e)
            reader = csv.reader(source, delimiter=delimiter)
        began, (count, size) = line, source.take()
        position, line = position + size, line + count
        if fault or any(fields):
            yield Record(began, fields, fault, position, line)


def _in_words(error: Exception) -> str:
    if isinstance(error, Broken):
        return str(error)
    if "new-line" in str(error):
        return "A line break stands in a cell without quotes around it."
    return "The line can't be read as CSV."


class _Lines:
    """Hands lines to a csv.reader, which takes as many as its record needs, and remembers them."""

    def __init__(self, chunks: Iterable[bytes], encoding: str) -> None:
        self._pieces = _pieces(chunks)
        self._encoding = encoding
        self._taken: list[tuple[bytes | None, int]] = []
        self._back: deque[tuple[bytes | None, int]] = deque()
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._size > LONGEST_RECORD:
            raise Broken(UNCLOSED)
        piece = self._back.popleft() if self._back else next(self._pieces, None)
        if piece is None:
            if self._taken:  # the reader asks for more: it is inside quotes
                raise Broken(UNCLOSED)
            raise StopIteration
        self._taken.append(piece)
        self._size += piece[1]
        if piece[0] is None:
            raise Broken(UNCLOSED if len(self._taken) > 1 else "The line is too long to be one.")
        return piece[0].decode(self._encoding, "replace")

    def give_back(self) -> bool:
        """Keep the first line of this record; tell whether there are others, to be read again."""
        others, self._taken = self._taken[1:], self._taken[:1]
        self._back.extendleft(reversed(others))
        return bool(others)

    def take(self) -> tuple[int, int]:
        """Return how many lines and bytes this record took, and begin the next."""
        lines, size = len(self._taken), sum(size for _, size in self._taken)
        self._taken, self._size = [], 0
        return lines, size


def _pieces(chunks: Iterable[bytes]) -> Iterator[tuple[bytes | None, int]]:
    """Yield each line with its size in bytes; None in place of one longer than LONGEST_LINE."""
    rest, lost = b"", 0
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for piece in whole:
            size = len(piece) + 1
            too_long = lost or size > LONGEST_LINE
            yield (None if too_long else piece + b"\n"), size + lost
            lost = 0
        if lost or len(rest) > LONGEST_LINE:
            rest, lost = b"", lost + len(rest)
    if rest or lost:
        yield (None if lost else rest), lost + len(rest)


def safe(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: with an apostrophe before it.

    So do cells that are one but for apostrophes, so that `unsafe` restores every text.
    """
    return f"'{cell}" if cell.lstrip("'")[:1] in FORMULA_STARTS else cell


def unsafe(cell: str) -> str:
    """Undo `safe`; a cell that it would not have written stays."""
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'")[:1] in FORMULA_STARTS else cell
