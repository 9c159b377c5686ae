"""The /v1 endpoint: one request from the wire to the answer.

authenticate → find the operation → decode and type → idempotency → fault before → run in one
transaction → fault after → answer. The run itself has no await in it, so requests never interleave;
two with one Idempotency-Key can only meet while the first is held up by a fault.
"""

import asyncio
import base64
import binascii
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.stripe import clock, expansion, faults, params
from sandbox.stripe.context import Config, Tx
from sandbox.stripe.contract import Operation
from sandbox.stripe.errors import InvalidParameters, StripeError, Unsaved, key_in_use
from sandbox.stripe.registry import ROUTES
from sandbox.stripe.store import Store, token

KEY = re.compile(r"^(sk|rk)_test_[A-Za-z0-9]{16,}$")
KEEP_KEYS = 30 * 86_400


@dataclass
class Api:
    """Answers every request below /v1. `violations` is None when nothing is checked."""

    store: Store
    config: Config
    wake: Callable[[], None]
    violations: list[str] | None = None
    counters: dict[str, int] = field(default_factory=dict)
    _in_flight: set[str] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._answer(request, (await request.body()).decode("utf-8", "replace"))
        await response(scope, receive, send)

    async def _answer(self, request: Request, body: str) -> Response:
        call = Call(request, body)
        try:
            _authenticate(request)
            self._enter(call)
            replay = self._replay(call)
        except StripeError as error:
            return self._respond(call, error.status, error.body(), saved=False)
        if replay is not None:
            return replay
        if call.key:
            self._in_flight.add(call.key)
        try:
            return await self._perform(call)
        finally:
            self._in_flight.discard(call.key or "")

    def _enter(self, call: "Call") -> None:
        """The door: version, path, parameters. Nothing has happened yet."""
        try:
            self._read(call)
        except StripeError as error:
            self._violated("request", [f"{call.method} {call.path}: {error}"])
            raise
        name = f"{call.operation.method} {call.operation.template}"
        self.counters[name] = self.counters.get(name, 0) + 1
        checked = self.config.contract.validate_request(call.method, call.path, call.params)
        self._violated("request", checked)

    def _violated(self, side: str, problems: list[str]) -> None:
        if self.violations is not None:
            self.violations.extend(f"{side}: {problem}" for problem in problems)

    def _read(self, call: "Call") -> None:
        version = call.request.headers.get("stripe-version", self.config.contract.api_version)
        if version != self.config.contract.api_version:
            raise Unsaved(f"Invalid Stripe API version: {version}")
        operation = self.config.contract.match(call.method, call.path)
        if operation is None or (operation.method, operation.template) not in ROUTES:
            raise Unsaved(
                f"Unrecognized request URL ({call.method}: {call.path}). Please see "
                "https://stripe.com/docs or we can help at https://support.stripe.com/.",
                status=404,
            )
        if call.key is not None and not 1 <= len(call.key) <= 255:
            raise InvalidParameters("Idempotency keys can be up to 255 characters long.")
        call.operation = operation
        call.params = params.typed(params.decode(call.pairs), operation.parameters)

    def _replay(self, call: "Call") -> Response | None:
        """The saved answer of this key, or a refusal; None when the request is the first."""
        if call.key is None:
            return None
        if call.key in self._in_flight:
            raise key_in_use()
        sql = "SELECT request, fingerprint, status, body FROM idempotency WHERE key = ?"
        row = self.store.one(sql, call.key)
        if row is None:
            return None
        if row[1] != call.fingerprint:
            raise Unsaved(
                "Keys for idempotent requests can only be used with the same parameters they were "
                f"first used with. Try using a key other than '{call.key}' if you meant to execute "
                "a different request.",
                kind="idempotency_error",
            )  # fmt: skip
        headers = {"Idempotent-Replayed": "true", "Original-Request": row[0]}
        return self._respond(call, row[2], json.loads(row[3]), saved=False, headers=headers)

    async def _perform(self, call: "Call") -> Response:
        with self.store.transaction():
            fault = faults.take(self.store, call.method, call.path)
        if fault is not None and fault.when == "before":
            refusal = await _suffer(fault)
            if isinstance(refusal, StripeError):
                return self._respond(call, refusal.status, refusal.body(), saved=refusal.saved)
            if refusal is not None:
                return refusal
        status, body, saved = self._run(call)
        self.wake()
        response = self._respond(call, status, body, saved=saved)
        if fault is not None and fault.when == "after":
            refusal = await _suffer(fault)
            if isinstance(refusal, StripeError):
                return self._respond(call, refusal.status, refusal.body(), saved=False)
            return refusal or response
        return response

    def _run(self, call: "Call") -> tuple[int, dict[str, Any], bool]:
        """The effect and its answer, in one transaction."""
        refusal: StripeError
        try:
            with self.store.transaction():
                tx = Tx(self.store, self.config, clock.now(self.store), call.id, call.key)
                try:
                    handler = ROUTES[call.operation.method, call.operation.template]
                    obj = handler(tx, call.params, *call.path_values())
                    shown = expansion.expand(tx, obj, call.params.get("expand", []))
                    return 200, shown, True
                except StripeError as error:
                    if not error.keeps_effects:
                        raise
                    refusal = error
        except StripeError as error:
            refusal = error
        return refusal.status, refusal.body(), refusal.saved

    def _respond(
        self,
        call: "Call",
        status: int,
        body: dict[str, Any],
        *,
        saved: bool,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """The answer with Stripe's headers; kept under the call's key when `saved`."""
        content = json.dumps(body)
        if saved and call.key:
            self._keep(call, status, content)
        if self.violations is not None:
            check = self.config.contract.validate_response
            self._violated("answer", check(call.method, call.path, status, body))
        extra = {"Request-Id": call.id, "Stripe-Version": self.config.contract.api_version}
        if call.key:
            extra["Idempotency-Key"] = call.key
        if status in (409, 429) or status >= 500:
            again = not (body["error"]["type"] == "idempotency_error" and status != 409)
            extra["Stripe-Should-Retry"] = "true" if again else "false"
        return Response(content, status, {**extra, **(headers or {})}, "application/json")

    def _keep(self, call: "Call", status: int, content: str) -> None:
        with self.store.transaction():
            self.store.run("DELETE FROM idempotency WHERE kept_at < ?", time.time() - KEEP_KEYS)
            sql = "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?)"
            self.store.run(sql, call.key, call.id, call.fingerprint, status, content, time.time())


class Call:
    """One request, read. `operation` and `params` are there once it is through the door."""

    operation: Operation

    def __init__(self, request: Request, body: str) -> None:
        self.request = request
        self.id = f"req_{token(14)}"
        self.method = request.method
        self.path = _path(request)
        self.pairs = parse_qsl(
            body if self.method == "POST" else request.url.query, keep_blank_values=True
        )
        if self.method == "DELETE":
            self.pairs += parse_qsl(body, keep_blank_values=True)
        sent = request.headers.get("idempotency-key")
        self.key = sent if self.method == "POST" else None
        self.params: dict[str, Any] = {}

    @property
    def fingerprint(self) -> str:
        told = json.dumps([self.method, self.path, self.params], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    def path_values(self) -> list[str]:
        template = self.operation.template.split("/")
        pairs = zip(template, self.path.split("/"), strict=True)
        return [actual for expected, actual in pairs if expected.startswith("{")]


class Drop(Response):
    """No answer: the connection is cut. Under a server that hides its transport, an answer that
    stops short has the same effect on the client."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hidden = getattr(getattr(receive, "__self__", None), "transport", None)
        transport = scope.get("sandbox.transport", hidden)
        if transport is not None:
            transport.abort()
            return
        headers = [(b"content-length", b"1000000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def _suffer(fault: faults.Fault) -> StripeError | Response | None:
    """Plays the fault: an error to answer, a cut connection, or None after being late."""
    if fault.seconds:
        await asyncio.sleep(fault.seconds)
    if fault.kind == "status":
        return faults.error(fault.status)
    return None if fault.kind == "latency" else Drop()


def _path(request: Request) -> str:
    path: str = request.scope["path"]
    return path[path.index("/v1") :].rstrip("/")


def _authenticate(request: Request) -> None:
    """Test keys of the right shape pass; the rest is 401, in Stripe's words."""
    header = request.headers.get("authorization", "")
    scheme, _, key = header.partition(" ")
    if scheme.lower() == "basic":
        key = _basic_user(key)
    if scheme.lower() not in ("bearer", "basic") or not key:
        raise Unsaved(
            "You did not provide an API key. You need to provide your API key in the Authorization "
            "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            status=401,
        )
    if key.startswith("pk_"):
        raise Unsaved(
            "This API call cannot be made with a publishable API key. Please use a secret API key.",
            status=403, code="secret_key_required",
        )  # fmt: skip
    if not KEY.match(key):
        hidden = f"{key[:8]}{'*' * max(len(key) - 12, 4)}{key[-4:]}"
        raise Unsaved(f"Invalid API Key provided: {hidden}", status=401)


def _basic_user(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
