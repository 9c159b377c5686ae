"""CSV as a stream: bytes in, records out, in constant memory. Nothing it meets is fatal.

Bytes that are no UTF-8 become U+FFFD; a line that the csv module refuses is handed out as the error
that it raised. A record may span lines inside quotes, up to LONGEST_RECORD characters.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator

LONGEST_FIELD = 262_144
LONGEST_LINE = 1_000_000  # characters without a line break: more is no CSV


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
