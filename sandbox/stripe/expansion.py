"""expand[]: replaces ids by the objects they name, along dotted paths, four levels deep."""

import copy
from typing import Any

from sandbox.stripe.context import Tx, public
from sandbox.stripe.errors import InvalidParameters
from sandbox.stripe.registry import INCLUDABLE
from sandbox.stripe.store import Obj

DEPTH = 4


def expand(tx: Tx, obj: Obj, paths: list[str]) -> Obj:
    """A public copy of `obj` with the asked-for parts filled in. Raises `InvalidParameters` for a
    path that leads nowhere."""
    shown = copy.deepcopy(obj)
    for path in paths:
        steps = path.split(".")
        if sum(step != "data" for step in steps) > DEPTH:
            raise InvalidParameters(
                f"You cannot expand more than {DEPTH} levels of a property: {path}", param="expand"
            )
        _walk(tx, shown, steps, path)
    result: Obj = public(shown)
    return result


def _walk(tx: Tx, node: Any, steps: list[str], path: str) -> None:
    if not steps or node is None:
        return
    if isinstance(node, list):
        for item in node:
            _walk(tx, item, steps, path)
        return
    name, rest = steps[0], steps[1:]
    if not isinstance(node, dict):
        raise _refused(name, path)
    value = _value(tx, node, name, path)
    if isinstance(value, str):
        found = tx.store.find(value)
        if found is None:
            raise _refused(name, path)
        value = copy.deepcopy(found)
    elif isinstance(value, list) and value and isinstance(value[0], str):
        value = [copy.deepcopy(tx.store.find(item) or item) for item in value]
    if value is not None or name in node:
        node[name] = value
    _walk(tx, value, rest, path)


def _value(tx: Tx, node: Obj, name: str, path: str) -> Any:
    included = INCLUDABLE.get((node.get("object", ""), name))
    if included is not None and node.get(name) is None:
        whole = tx.store.find(node["id"]) if "id" in node else None
        return copy.deepcopy(included(tx, whole or node))
    if name in node:
        return node[name]
    if tx.config.contract.expandable(str(node.get("object", "")), name) and "object" in node:
        return None
    raise _refused(name, path)


def _refused(name: str, path: str) -> InvalidParameters:
    return InvalidParameters(
        f"This property cannot be expanded ({name}). You may want to try expanding one of its "
        f"parents or check the path {path}.",
        param="expand",
    )
