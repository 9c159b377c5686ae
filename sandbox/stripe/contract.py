"""The contract: paths, parameters and object schemas cut from Stripe's OpenAPI description.

It types form-encoded parameters (params.py), fills the nullable fields of objects (objects.py)
and, when checking is on, validates every request and every answer. The schemas are draft 4 with
`nullable`; they are converted once, and an object that declares properties is closed: a parameter
or a field that Stripe does not know is a violation, not a surprise.
"""

import gzip
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator
from jsonschema.exceptions import ValidationError, best_match

from sandbox.stripe.schema import REF, Schema, fits, strict


@dataclass(frozen=True)
class Operation:
    """One method of one path. `parameters` is the closed schema of query or body."""

    method: str
    template: str
    parameters: Schema
    response: Schema


class Contract:
    """Reads the file once. Safe to share; nothing in it changes."""

    def __init__(self, path: Path) -> None:
        raw = path.read_bytes()
        document = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
        self.api_version: str = document["api_version"]
        self._schemas: dict[str, Schema] = document["schemas"]
        self._operations = {
            (method.upper(), template): _operation(method.upper(), template, raw_operation)
            for template, methods in document["paths"].items()
            for method, raw_operation in methods.items()
        }
        self._validators: dict[str, Draft4Validator] = {}

    def operation(self, method: str, template: str) -> Operation | None:
        return self._operations.get((method, template))

    def match(self, method: str, path: str) -> Operation | None:
        """The operation that answers `path`; a literal segment wins over a placeholder."""
        segments = path.rstrip("/").split("/")
        best: tuple[int, Operation] | None = None
        for operation in self._by_shape.get((method, len(segments)), ()):
            score = _score(operation.template.split("/"), segments)
            if score is not None and (best is None or score > best[0]):
                best = (score, operation)
        return best[1] if best else None

    def nullable(self, schema: str) -> tuple[str, ...]:
        """The fields that are present and null until something sets them."""
        properties = self._schemas[schema].get("properties", {})
        return tuple(name for name, part in properties.items() if part.get("nullable"))

    def expandable(self, schema: str, field: str) -> bool:
        """Whether `field` may be asked for with expand[]; unknown schemas allow anything."""
        declared = self._schemas.get(schema, {}).get("properties")
        return declared is None or field in declared

    def validate_request(self, method: str, path: str, params: dict[str, Any]) -> list[str]:
        """What is wrong with decoded and typed parameters; empty when nothing is."""
        operation = self.match(method, path)
        if operation is None:
            return [f"{method} {path}: not in the contract"]
        return self._check(f"{method} {operation.template} params", operation.parameters, params)

    def validate_response(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """What is wrong with an answer. Any status but 200 must carry Stripe's error object."""
        operation = self.match(method, path)
        if status != 200:
            name = f"{method} {path} {status}"
            return self._check("error", {"$ref": REF + "error"}, body, label=name)
        if operation is None:
            return [f"{method} {path}: answered {status}, but is not in the contract"]
        return self._check(f"{method} {operation.template}", operation.response, body)

    def validate_object(self, schema: str, body: Any) -> list[str]:
        """Checks one object by the name of its schema, such as `subscription`."""
        return self._check(schema, {"$ref": REF + schema}, body)

    def _check(self, key: str, schema: Schema, body: Any, label: str = "") -> list[str]:
        if fits(body, schema, self._schemas):
            return []
        validator = self._validators.get(key)
        if validator is None:
            closed = {**strict(schema), "components": {"schemas": self._strict_schemas}}
            validator = self._validators[key] = Draft4Validator(closed)
        return [f"{label or key}: {_explain(error)}" for error in validator.iter_errors(body)]

    @cached_property
    def _strict_schemas(self) -> dict[str, Schema]:
        return {name: strict(schema) for name, schema in self._schemas.items()}

    @cached_property
    def _by_shape(self) -> dict[tuple[str, int], list[Operation]]:
        shapes: dict[tuple[str, int], list[Operation]] = {}
        for operation in self._operations.values():
            key = (operation.method, operation.template.count("/") + 1)
            shapes.setdefault(key, []).append(operation)
        return shapes


def _operation(method: str, template: str, raw: dict[str, Any]) -> Operation:
    body: Schema = raw["body"]
    query = [p for p in raw["parameters"] if p["in"] == "query"]
    properties = {**body.get("properties", {}), **{p["name"]: p["schema"] for p in query}}
    required = [*body.get("required", []), *(p["name"] for p in query if p["required"])]
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    return Operation(method, template, schema, raw["response"])


def _score(template: list[str], segments: list[str]) -> int | None:
    score = 0
    for expected, actual in zip(template, segments, strict=True):
        if expected == actual:
            score += 1
        elif not (expected.startswith("{") and actual):
            return None
    return score


def _explain(error: ValidationError) -> str:
    while error.context:
        nested = best_match(error.context)
        if nested is None:
            break
        error = nested
    where = ".".join(str(part) for part in error.absolute_path) or "(top)"
    return f"{where}: {error.message[:300]}"
