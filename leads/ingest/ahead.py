"""Reading ahead: the next item is made in a thread of its own while the last one is used.

While PostgreSQL merges a batch this process would only wait; it reads and parses the next batch
instead. At most `AHEAD` finished items wait, so memory stays bounded.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
AHEAD = 1
# Seconds that a thread may keep the interpreter while another wants it. At Python's own 0.005 each
# answer of PostgreSQL to the merge, and each piece of its COPY, waits that long for the parsing.
SWITCH = 0.0005
POLL_SECONDS = 0.2  # how soon the thread notices that nobody wants more


def read_ahead(source: Iterator[T]) -> Iterator[T]:
    """Yield the items of `source` in order; what it raises is raised here.

    The source runs in another thread, so it must not use this one's database connection. When the
    caller stops early the thread ends at its next item.
    """
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=AHEAD)
    unwanted = threading.Event()

    def offer(kind: str, value: Any) -> bool:
        while not unwanted.is_set():
            with suppress(queue.Full):
                ready.put((kind, value), timeout=POLL_SECONDS)
                return True
        return False

    def work() -> None:
        try:
            for item in source:
                if not offer("item", item):
                    return
            offer("end", None)
        except BaseException as e:  # noqa: BLE001 - handed over, and raised by the reader
            offer("error", e)

    threading.Thread(target=work, name="read-ahead", daemon=True).start()
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        unwanted.set()
        sys.setswitchinterval(usual)
