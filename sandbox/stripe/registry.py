"""Which function answers which operation, and which one a timer calls.

Resource modules register themselves by decorator; app.py imports them all. A path that nobody
registered is answered as Stripe answers an unknown URL.
"""

from collections.abc import Callable
from typing import Any

from sandbox.stripe.context import Tx, listing
from sandbox.stripe.errors import InvalidParameters, StripeError, missing
from sandbox.stripe.store import Obj

Params = dict[str, Any]
Handler = Callable[..., Obj]
ROUTES: dict[tuple[str, str], Handler] = {}
TIMERS: dict[str, Callable[[Tx, Obj], None]] = {}
# Fields that an answer leaves out until expand[] asks for them: (kind, field) -> value. The kind
# is empty for a field of a nested part, which has no `object`.
INCLUDABLE: dict[tuple[str, str], Callable[[Tx, Obj], Any]] = {}


def route(method: str, template: str) -> Callable[[Handler], Handler]:
    """Registers `handler(tx, params, *path_values)`."""

    def register(handler: Handler) -> Handler:
        ROUTES[method, template] = handler
        return handler

    return register


def on_timer(action: str) -> Callable[[Callable[[Tx, Obj], None]], Callable[[Tx, Obj], None]]:
    def register(handler: Callable[[Tx, Obj], None]) -> Callable[[Tx, Obj], None]:
        TIMERS[action] = handler
        return handler

    return register


def includable(
    kind: str, field: str
) -> Callable[[Callable[[Tx, Obj], Any]], Callable[[Tx, Obj], Any]]:
    def register(value: Callable[[Tx, Obj], Any]) -> Callable[[Tx, Obj], Any]:
        INCLUDABLE[kind, field] = value
        return value

    return register


def page(tx: Tx, kind: str, params: Params, url: str, **equal: Any) -> Obj:
    """A list answer: newest first, `limit` 1-100, cursors, `created` as a moment or a range.
    `equal` are the fields that must match."""
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        bound, side = (1, "greater") if limit < 1 else (100, "less")
        raise InvalidParameters(
            f"This value must be {side} than or equal to {bound}.",
            param="limit",
            code="parameter_invalid_integer",
        )
    after, before = params.get("starting_after"), params.get("ending_before")
    if after and before:
        raise InvalidParameters("You can't provide both starting_after and ending_before.")
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor and tx.store.find(cursor, kind) is None:
            raise missing(kind, cursor, name, 400)
    created = params.get("created")
    ranges = {"created": created} if isinstance(created, dict) else {}
    if isinstance(created, int):
        ranges = {"created": {"gte": created, "lte": created}}
    found = tx.store.page(kind, equal, ranges, limit, after, before)
    return listing(found.rows, url, has_more=found.has_more)


def given(params: Params, *names: str, **renamed: str) -> dict[str, Any]:
    """Equality filters for `page` from the parameters that were sent; `field="param"` renames."""
    wanted = {name: name for name in names} | renamed
    return {field: params[name] for field, name in wanted.items() if name in params}


def assign(obj: Obj, params: Params, *names: str) -> None:
    """Copies the parameters that were sent; an empty string clears the field."""
    for name in names:
        if name in params:
            obj[name] = None if params[name] == "" else params[name]


def refuse(params: Params, *names: str) -> None:
    """Says so where Stripe would do something that this sandbox doesn't."""
    for name in names:
        if name in params:
            raise StripeError(f"This sandbox does not do `{name}`.", param=name)


def merge_metadata(obj: Obj, params: Params) -> None:
    """Metadata merges key by key; an empty value removes a key, an empty string removes all."""
    sent = params.get("metadata")
    if sent == "":
        obj["metadata"] = {}
    elif sent is not None:
        merged = {**(obj.get("metadata") or {}), **sent}
        obj["metadata"] = {key: value for key, value in merged.items() if value != ""}
        if len(obj["metadata"]) > 50:
            raise InvalidParameters("You can only have up to 50 metadata keys.", param="metadata")
