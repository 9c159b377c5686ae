"""First sight of a request: its id, its address, one log line and its metrics."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponseBase

from saas import context
from saas.observability.metrics import REQUESTS

log = structlog.get_logger(__name__)
GOOD_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


class RequestContext:
    """Binds request id and address; answers with X-Request-ID; logs method, route and time."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if GOOD_ID.fullmatch(given) else uuid.uuid4().hex
        # No text column takes a NUL, and no person types one: a query string never holds any.
        request.META["QUERY_STRING"] = request.META.get("QUERY_STRING", "").replace("%00", "")
        began = time.perf_counter()
        with context.bind(request_id=request_id, ip=request.META.get("REMOTE_ADDR")):
            response = self.get_response(request)
            seconds = time.perf_counter() - began
            match = request.resolver_match
            route = match.route if match else "unknown"
            if not route.startswith(("health", "metrics", "static")):
                log.info(
                    "request",
                    method=request.method,
                    route=route,
                    status=response.status_code,
                    ms=round(seconds * 1000, 1),
                )
            REQUESTS.labels(request.method or "", route, str(response.status_code)).observe(seconds)
            response["X-Request-ID"] = request_id
            return response
