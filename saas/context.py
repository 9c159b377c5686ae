"""Who and what the current piece of work is about, for logs, the audit journal and Sentry.

Bound by the request middleware and by the Celery task base; a new thread starts empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

Value = str | int | None
FIELDS = ("request_id", "task_id", "brand_id", "user_id", "ip")

_values: ContextVar[Mapping[str, Value]] = ContextVar("harbor_context", default={})  # noqa: B039


def get(name: str) -> Value:
    """Return the bound value of one of FIELDS, or None."""
    return _values.get().get(name)


def bound() -> dict[str, Value]:
    """Return every bound value that is not None."""
    return {name: value for name, value in _values.get().items() if value is not None}


def update(**values: Value) -> None:
    """Add values to the innermost binding (a view learns its brand after the request began)."""
    _values.set({**_values.get(), **values})


@contextmanager
def bind(**values: Value) -> Iterator[None]:
    """Bind values for a block; what was bound before comes back after it."""
    token = _values.set({**_values.get(), **values})
    try:
        yield
    finally:
        _values.reset(token)
