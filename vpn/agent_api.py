"""The agent's API: a node asks what it should hold and reports what it holds.

Bearer token per server, no session, no cookie (hence exempt from CSRF). A wait for news holds a
thread but no database connection, and only WAITING threads of a process may wait at a time; the
others answer at once and the agent asks again.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import wraps

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from django_ratelimit.core import is_ratelimited

from saas.errors import Refused
from vpn import desired as desired_states
from vpn import metering, reports, servers
from vpn.models import Server

LONGEST_WAIT = 25.0  # below the usual 30 s of proxies
LOOK_EVERY = 1.0
LARGEST_REPORT = 4 * 1024 * 1024
ADDRESS_RATE = "1200/m"  # many nodes may share an address
SERVER_RATE = "240/m"
WAITING = threading.BoundedSemaphore(2)

AgentView = Callable[[HttpRequest, Server], HttpResponse]


def for_agents(view: AgentView) -> Callable[[HttpRequest], HttpResponse]:
    """Admit a server's agent by its token; 401 for any other, 429 for too many calls."""

    @wraps(view)
    def admitted(request: HttpRequest) -> HttpResponse:
        if _too_many(request, "vpn.agent.ip", "ip", ADDRESS_RATE):
            return _slow_down()
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        server = servers.authenticate(token.strip()) if kind.lower() == "bearer" else None
        if server is None:
            return JsonResponse(
                {"error": "unauthorized"}, status=401, headers={"WWW-Authenticate": "Bearer"}
            )
        if _too_many(request, "vpn.agent.server", lambda *_: str(server.pk), SERVER_RATE):
            return _slow_down()
        response = view(request, server)
        response["Cache-Control"] = "no-store"
        return response

    return csrf_exempt(admitted)


@require_GET
@for_agents
def desired(request: HttpRequest, server: Server) -> HttpResponse:
    """Answer the desired state, or 304 when it is still what If-None-Match names.

    `?wait=SECONDS` (25 at most) waits for a change first.
    """
    known = request.headers.get("If-None-Match", "").strip('" ')
    if known and not _changes(server.pk, known, _wait(request)):
        return HttpResponse(status=304, headers={"ETag": f'"{known}"'})
    state = desired_states.desired_state(Server.objects.get(pk=server.pk))
    return JsonResponse(dict(state), headers={"ETag": f'"{state["version"]}"'})


@require_POST
@for_agents
def report(request: HttpRequest, server: Server) -> HttpResponse:
    """Take a node's report. Idempotent: the same report twice counts once."""
    if int(request.headers.get("Content-Length") or 0) > LARGEST_REPORT:
        return JsonResponse({"error": "too_large"}, status=413)
    try:
        parsed = reports.parse(json.loads(request.read(LARGEST_REPORT)))
    except (ValueError, RecursionError):
        return JsonResponse({"error": "bad_report", "message": "this is not JSON"}, status=400)
    except Refused as e:
        return JsonResponse({"error": e.code, "message": e.message}, status=400)
    counted = metering.record(server, parsed)
    return JsonResponse({"known": counted.known, "unknown": counted.unknown})


def _wait(request: HttpRequest) -> float:
    try:
        wanted = float(request.GET.get("wait", 0))
    except ValueError:
        return 0.0
    return min(max(wanted, 0.0), LONGEST_WAIT) if wanted == wanted else 0.0


def _changes(server_id: int, known: str, seconds: float) -> bool:
    """Wait up to `seconds` for the fingerprint to differ from `known`; tell whether it does."""
    until = time.monotonic() + seconds
    if desired_states.fingerprint(server_id) != known:
        return True
    if seconds <= 0 or not WAITING.acquire(blocking=False):
        return False
    try:
        while time.monotonic() < until:
            _give_connection_back()
            time.sleep(min(LOOK_EVERY, max(until - time.monotonic(), 0)))
            if desired_states.fingerprint(server_id) != known:
                return True
    finally:
        WAITING.release()
    return False


def _give_connection_back() -> None:
    if not connection.in_atomic_block:  # always so in production; tests run inside one
        connection.close()


def _too_many(request: HttpRequest, group: str, key: object, rate: str) -> bool:
    return bool(is_ratelimited(request, group=group, key=key, rate=rate, increment=True))


def _slow_down() -> HttpResponse:
    return JsonResponse({"error": "too_many_requests"}, status=429, headers={"Retry-After": "15"})
