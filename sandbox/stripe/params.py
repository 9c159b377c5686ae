"""From the wire to typed parameters: `items[0][price]=x` becomes {"items": [{"price": "x"}]}.

The wire knows only strings; the contract's schema says what each stands for. A parameter that is
unknown, missing or of the wrong type is refused in Stripe's words, with `param` naming it.
"""

import re
from collections.abc import Iterable
from typing import Any, Never

from sandbox.stripe.errors import InvalidParameters
from sandbox.stripe.schema import Schema

Raw = dict[str, Any]
_KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
# Plain strings that Stripe lets a caller clear with an empty value.
_CLEARABLE = {"description", "name", "email", "phone", "nickname", "footer", "line2", "state"}


def decode(pairs: Iterable[tuple[str, str]]) -> Raw:
    """Nested dictionaries of strings; list positions are keys until a schema says `array`."""
    result: Raw = {}
    for key, value in pairs:
        match = _KEY.match(key)
        if match is None:
            _refuse(f"Received unknown parameter: {key}", key, "parameter_unknown")
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        _insert(result, path, value, key)
    return result


def typed(raw: Raw, schema: Schema) -> dict[str, Any]:
    """The parameters as the endpoint wants them, or `InvalidParameters`."""
    result: dict[str, Any] = _object(raw, schema, "")
    return result


def _insert(target: Raw, path: list[str], value: str, key: str) -> None:
    for part in path[:-1]:
        target = target.setdefault(part or str(len(target)), {})
        if not isinstance(target, dict):
            _refuse(f"Invalid object: {key}", key)
    target[path[-1] or str(len(target))] = value


def _convert(raw: Any, schema: Schema, path: str) -> Any:
    if "anyOf" in schema:
        return _any_of(raw, schema["anyOf"], path)
    kind = schema.get("type")
    if kind == "object":
        return _object(raw, schema, path)
    if kind == "array":
        return _array(raw, schema, path)
    if isinstance(raw, dict) and kind is not None:
        _refuse(f"Invalid {kind}: {path}", path)
    return raw if kind is None else _scalar(raw, schema, path)


def _scalar(raw: str, schema: Schema, path: str) -> Any:
    kind = schema["type"]
    if kind == "integer":
        if not re.fullmatch(r"-?\d{1,18}", raw):
            _refuse(f"Invalid integer: {raw}", path, "parameter_invalid_integer")
        return int(raw)
    if kind == "number":
        if not re.fullmatch(r"-?\d+(\.\d+)?", raw):
            _refuse(f"Invalid decimal: {raw}", path)
        return float(raw)
    if kind == "boolean":
        if raw not in ("true", "false"):
            _refuse(f"Invalid boolean: {raw}", path)
        return raw == "true"
    return _string(raw, schema, path)


def _string(raw: str, schema: Schema, path: str) -> str:
    choices = schema.get("enum")
    if choices is not None and raw not in choices:
        shown = ", ".join(choice for choice in choices if choice)
        _refuse(f"Invalid {path}: must be one of {shown}", path)
    if raw == "" and choices is None and _leaf(path) not in _CLEARABLE:
        _refuse(
            f"You passed an empty string for '{path}'. We assume empty values are an attempt to "
            f"unset a parameter; however '{path}' cannot be unset.",
            path,
            "parameter_invalid_empty",
        )
    if schema.get("format") == "currency" and not re.fullmatch(r"[A-Za-z]{3}", raw):
        _refuse(f"Invalid currency: {raw}", path)
    if schema.get("format") == "decimal" and not re.fullmatch(r"-?\d+(\.\d{1,12})?", raw):
        _refuse(f"Invalid decimal: {raw}", path)
    return raw.lower() if schema.get("format") == "currency" else raw


def _object(raw: Any, schema: Schema, path: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        _refuse(f"Invalid object: {path}", path)
    properties: dict[str, Schema] = schema.get("properties", {})
    extra = schema.get("additionalProperties", False if "properties" in schema else {})
    result = {}
    for name, value in raw.items():
        inner = f"{path}[{name}]" if path else name
        if name in properties:
            result[name] = _convert(value, properties[name], inner)
        elif extra is False:
            _refuse(f"Received unknown parameter: {inner}", inner, "parameter_unknown")
        elif _leaf(path) == "metadata":
            result[name] = _metadata(name, value, inner)
        else:
            result[name] = _convert(value, extra or {}, inner)
    for name in schema.get("required", []):
        if name not in result:
            inner = f"{path}[{name}]" if path else name
            _refuse(f"Missing required param: {inner}.", inner, "parameter_missing")
    return result


def _array(raw: Any, schema: Schema, path: str) -> list[Any]:
    if not isinstance(raw, dict) or not all(key.isdigit() for key in raw):
        _refuse(f"Invalid array: {path}", path)
    ordered = sorted(raw.items(), key=lambda item: int(item[0]))
    return [_convert(value, schema["items"], f"{path}[{key}]") for key, value in ordered]


def _any_of(raw: Any, choices: list[Schema], path: str) -> Any:
    """The first alternative that takes the value; an enum or a number beats free text."""
    fitting = [
        c for c in choices if isinstance(raw, dict) == (c.get("type") in ("object", "array"))
    ]
    refusal: InvalidParameters | None = None
    for choice in sorted(fitting, key=lambda c: c.get("type") == "string" and "enum" not in c):
        try:
            return _convert(raw, choice, path)
        except InvalidParameters as error:
            refusal = refusal or error
    if refusal is None:
        _refuse(f"Invalid {'object' if not isinstance(raw, dict) else 'string'}: {path}", path)
    raise refusal


def _metadata(name: str, value: Any, path: str) -> str:
    if not isinstance(value, str):
        _refuse(f"Metadata values must be strings: {path}", path)
    if len(name) > 40 or len(value) > 500:
        limit = "keys can be up to 40" if len(name) > 40 else "values can have up to 500"
        _refuse(f"Metadata {limit} characters in length: {path}", path)
    return value


def _leaf(path: str) -> str:
    return re.split(r"[\[\]]+", path.rstrip("]"))[-1]


def _refuse(message: str, param: str, code: str | None = None) -> Never:
    raise InvalidParameters(message, param=param or None, code=code)
