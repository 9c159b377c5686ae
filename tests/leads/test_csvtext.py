"""Records of a file with their lines and bytes, wherever the chunks are cut."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from leads.ingest import csvtext
from leads.ingest.csvtext import UNCLOSED, Record, numbered

CELL = st.text(st.sampled_from('ab ,"\n\ré\x00'), max_size=5)
ROWS = st.lists(st.lists(CELL, min_size=2, max_size=3).filter(any), max_size=6)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(rows=ROWS, size=st.integers(1, 20))
def test_what_csv_writes_is_read_wherever_it_is_cut(rows: list[list[str]], size: int) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    data = text.getvalue().encode()
    found = list(numbered(cut(data, size)))
    assert [record.fields for record in found] == rows
    assert not found or found[-1].end == len(data)


@given(data=st.binary(max_size=80), size=st.integers(1, 30))
def test_any_bytes_go_on_at_every_record_as_if_read_in_one(data: bytes, size: int) -> None:
    whole = list(numbered(cut(data, size)))
    for number, record in enumerate(whole):
        rest = numbered(cut(data[record.end :], 7), position=record.end, line=record.next_line)
        assert list(rest) == whole[number + 1 :]


def test_a_quote_that_never_closes_costs_its_line_alone() -> None:
    data = b'a,b\nc,"d\ne,f\ng,h\n'
    assert list(numbered([data])) == [
        Record(1, ["a", "b"], "", 4, 2),
        Record(2, [], UNCLOSED, 9, 3),
        Record(3, ["e", "f"], "", 13, 4),
        Record(4, ["g", "h"], "", 17, 5),
    ]


def test_a_line_without_end_costs_itself_alone_and_no_memory() -> None:
    long = b"x" * (3 * csvtext.LONGEST_LINE)
    found = list(numbered(cut(b"a\n" + long + b"\nb\n", 65_536)))
    assert [(r.line, r.fields, r.fault) for r in found] == [
        (1, ["a"], ""),
        (2, [], "The line is too long to be one."),
        (3, ["b"], ""),
    ]
    assert found[-1].end == len(long) + 5
