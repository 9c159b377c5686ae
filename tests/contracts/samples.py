"""Sample objects built from Stripe's published schemas, and a Stripe that answers nothing else.

They owe nothing to our stand-in: what a schema allows to be null or to be left out can be, and an
object that may be expanded is an id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sandbox.stripe.schema import REF, Schema
from tests.contracts import contract

Path = tuple[str | int, ...]
DEPTH = 4  # of parts that may be null; beyond it they are
NOW = 1_790_000_000
BY_FORMAT = {"unix-time": NOW, "currency": "usd", "decimal": "1", "date-time": "2026-09-21T00:00Z"}


def sample(name: str, **known: Any) -> dict[str, Any]:
    """An object of a schema with every property there, `known` among them."""
    built: dict[str, Any] = _object(schema_of(name), 0)
    return built | known


def schema_of(name: str) -> Schema:
    found: Schema = contract()._schemas[name]
    return found


def weak_places(schema: Schema, node: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every place of a sample that may be null, or absent, with which of the two."""
    schema = _resolved(schema, node)
    if isinstance(node, list):
        for position, part in enumerate(node):
            yield from weak_places(schema.get("items", {}), part, (*path, position))
    if not isinstance(node, dict):
        return
    for name, part in schema.get("properties", {}).items():
        if name not in node:
            continue
        if part.get("nullable"):
            yield (*path, name), "null"
        if name not in schema.get("required", ()):
            yield (*path, name), "absent"
        yield from weak_places(part, node[name], (*path, name))


def weakened(node: Any, path: Path, how: str) -> Any:
    """A copy of a sample with one place null or gone."""
    copied = json.loads(json.dumps(node))
    holder = copied
    for step in path[:-1]:
        holder = holder[step]
    if how == "null":
        holder[path[-1]] = None
    else:
        del holder[path[-1]]
    return copied


def bare(schema: Schema, node: Any) -> Any:
    """A copy of a sample without all that may be null or absent."""
    schema = _resolved(schema, node)
    if isinstance(node, list):
        return [bare(schema.get("items", {}), part) for part in node]
    if not isinstance(node, dict) or "properties" not in schema:
        return node
    return {
        name: bare(schema["properties"].get(name, {}), part)
        for name, part in node.items()
        if name in schema.get("required", ())
    }


def _resolved(schema: Schema, node: Any) -> Schema:
    """The schema itself behind references and alternatives, as the node takes them."""
    if "$ref" in schema:
        return _resolved(schema_of(schema["$ref"].removeprefix(REF)), node)
    for choice in schema.get("anyOf", ()):
        found = _resolved(choice, node)
        if (found.get("type") in ("object", None)) == isinstance(node, dict):
            return found
    return schema


def _value(schema: Schema, depth: int) -> Any:
    if schema.get("nullable") and depth > DEPTH:
        return None
    if "$ref" in schema:
        return _object(schema_of(schema["$ref"].removeprefix(REF)), depth + 1)
    if "anyOf" in schema:
        plain, *others = schema["anyOf"]
        if others and plain.get("type") == "string" and "$ref" in others[0]:
            return f"{_name_of(_resolved(others[0], {}))}_1"
        return _value(schema["anyOf"][0], depth)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return _object(schema, depth)
        case "array":
            told = any(schema["items"].get("anyOf", [schema["items"]])) and depth <= DEPTH
            return [_value(schema["items"], depth)] if told else []
        case "integer" | "number":
            return BY_FORMAT.get(schema.get("format", ""), 1)
        case "boolean":
            return False
        case _:
            return BY_FORMAT.get(schema.get("format", ""), "x")


def _object(schema: Schema, depth: int) -> dict[str, Any]:
    found = {
        name: _value(part, depth)
        for name, part in schema.get("properties", {}).items()
        if name in schema.get("required", ()) or depth <= DEPTH
    }
    return found | {"id": f"{_name_of(schema)}_1"} if "id" in found else found


def _name_of(schema: Schema) -> str:
    """What an object of the schema says that it is."""
    said: list[str] = schema.get("properties", {}).get("object", {}).get("enum", ["x"])
    return said[0]


class Published:
    """Stripe with sample objects: those that it was given, else the least that a path can answer.
    Nothing is ever changed in it."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.gone: set[str] = set()
        self.url = ""

    def answer(self, path: str) -> dict[str, Any] | None:
        """The object at a path; None for one that is gone, or a path that Stripe doesn't have."""
        operation = contract().match("GET", path)
        if operation is None or path in self.gone:
            return None
        if path in self.objects:
            found: dict[str, Any] = self.objects[path]
            return found
        whole = _value(operation.response, 0)
        least: dict[str, Any] = bare(operation.response, whole)
        return least | {"id": path.rpartition("/")[2]} if "id" in least else least

    def _expand(self, node: Any, steps: list[str]) -> Any:
        """A copy of the node with the objects of a path of `expand[]` in the place of their ids."""
        if isinstance(node, str):
            node = self._named(node)
        if isinstance(node, list):
            return [self._expand(part, steps) for part in node]
        if not isinstance(node, dict) or not steps or steps[0] not in node:
            return node
        return node | {steps[0]: self._expand(node[steps[0]], steps[1:])}

    def _named(self, identifier: str) -> Any:
        """The object of an id in a sample; the id itself when nothing has it."""
        for found in self.objects.values():
            if found["id"] == identifier:
                return found
        kind = identifier.removesuffix("_1")
        if kind not in contract()._schemas or kind == identifier:
            return identifier
        return bare(schema_of(kind), sample(kind))

    @contextmanager
    def serving(self) -> Iterator[Published]:
        """Answer on a free port of loopback until the block ends."""
        published = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked = urlsplit(self.path)
                found = published.answer(asked.path)
                for name, value in parse_qsl(asked.query) if found else ():
                    if name.startswith("expand["):
                        found = published._expand(found, value.split("."))
                missing = {"type": "invalid_request_error", "code": "resource_missing"}
                body = json.dumps(found or {"error": missing | {"message": "No such object"}})
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            self.url = f"http://127.0.0.1:{server.server_port}"
            Thread(target=server.serve_forever, daemon=True).start()
            yield self
            server.shutdown()
