"""JSON schemas of the contract: draft 4 with `nullable`, objects closed to unknown fields.

`fits` is the quick answer and costs a millisecond for a large object; `strict` gives the same
schema to jsonschema, which is slow and says where and why. A test holds the two to one opinion.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = dict[str, Any]
REF = "#/components/schemas/"
_TYPES: dict[str, Callable[[Any], bool]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}


def fits(value: Any, schema: Schema, schemas: Mapping[str, Schema]) -> bool:
    """Whether the value satisfies the schema; `schemas` are what its references name."""
    if "$ref" in schema:
        return fits(value, schemas[schema["$ref"].removeprefix(REF)], schemas)
    if value is None and schema.get("nullable"):
        return True
    if "anyOf" in schema and not any(fits(value, part, schemas) for part in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    kind = schema.get("type")
    if kind is None:
        return True
    if not _TYPES[kind](value):
        return False
    if kind == "object":
        return _object_fits(value, schema, schemas)
    if kind == "array":
        items = schema.get("items", {})
        return all(fits(item, items, schemas) for item in value)
    return "pattern" not in schema or re.search(schema["pattern"], value) is not None


def strict(schema: Any) -> Any:
    """The schema as jsonschema understands it: null besides for `nullable`, objects closed."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        key: ({k: strict(v) for k, v in value.items()} if key == "properties" else strict(value))
        for key, value in schema.items()
        if key not in ("nullable", "format")
    }
    if "properties" in result:
        result.setdefault("additionalProperties", False)
    return {"anyOf": [result, {"type": "null"}]} if schema.get("nullable") else result


def _object_fits(value: dict[str, Any], schema: Schema, schemas: Mapping[str, Schema]) -> bool:
    if any(name not in value for name in schema.get("required", ())):
        return False
    properties = schema.get("properties")
    if properties is None and "additionalProperties" not in schema:
        return True
    known = properties or {}
    extra = schema.get("additionalProperties", False)
    for name, inner in value.items():
        if name in known:
            if not fits(inner, known[name], schemas):
                return False
        elif extra is False or (isinstance(extra, dict) and not fits(inner, extra, schemas)):
            return False
    return True
