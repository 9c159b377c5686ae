"""Reading ahead: the same items, in order, with bounded memory and no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from leads.ingest.ahead import AHEAD, read_ahead


def reader() -> threading.Thread | None:
    return next((t for t in threading.enumerate() if t.name == "read-ahead"), None)


def test_items_come_in_order() -> None:
    assert list(read_ahead(iter(range(1000)))) == list(range(1000))


def test_what_the_source_raises_comes_after_what_it_gave() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = read_ahead(source())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_no_more_is_made_than_one_item_ahead() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    items = read_ahead(source())
    for used in range(20):
        next(items)
        assert len(made) <= used + 1 + AHEAD + 1  # in use, waiting, and the one being made
    items.close()


def test_the_thread_ends_when_the_caller_stops_early() -> None:
    items = read_ahead(iter(range(1000)))
    next(items)
    thread = reader()
    items.close()
    assert thread is not None
    thread.join(5)
    assert not thread.is_alive()
