"""Stripe's webhook: verify, insert one row, answer 200. A worker does the rest (billing.inbox).

| delivery                                             | answer | kept                |
|------------------------------------------------------|--------|---------------------|
| right, new                                           | 200    | one row             |
| right, seen before                                   | 200    | nothing more        |
| right, a thin event                                  | 200    | one row, ignored    |
| wrong, old, future or missing signature, wrong mode  | 400    | a count and a log   |
| not an event                                         | 400    | a count and a log   |
| too large                                            | 413    | a count and a log   |

The body of a refused delivery is never stored or logged.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from prometheus_client import Counter

from billing import inbox, signature

log = structlog.get_logger(__name__)

THIN = "v2.core.event"
MOST_BYTES = 1024 * 1024
DELIVERIES = Counter("harbor_stripe_deliveries_total", "Stripe's webhook deliveries", ["outcome"])
INSERT = """
INSERT INTO billing_stripeinbox (event_id, type, body, created) VALUES (%s, %s, %s, %s)
ON CONFLICT (event_id) DO NOTHING"""


@csrf_exempt  # Stripe holds no cookie; the signature proves the sender
@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """Receive one delivery; see the table above. Safe to repeat."""
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
            return _refuse("too_large", 413)
        body = request.body
    except RequestDataTooBig:
        return _refuse("too_large", 413)
    except (UnreadablePostError, ValueError):
        return _refuse("unreadable", 400)
    header = request.headers.get("Stripe-Signature", "")
    fault = signature.fault(body, header, settings.STRIPE_WEBHOOK_SECRETS, time.time())
    if fault:
        return _refuse(fault, 400)
    event = _event(body)
    if event is None:
        return _refuse("not_an_event", 400)
    if event["livemode"] is not settings.STRIPE_LIVE_MODE:
        return _refuse("wrong_mode", 400)
    _accept(event, body.decode())
    return HttpResponse(status=200)


def _event(body: bytes) -> dict[str, Any] | None:
    """Parse an event as far as the inbox needs it, or return None.

    Thin events tell less, and the time in words. The inbox keeps them, and works none.
    """
    try:
        event = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or event.get("object") not in ("event", THIN):
        return None
    kinds = {"id": str, "type": str, "livemode": bool, "created": int, "data": dict}
    if event["object"] == THIN:
        event["created"] = _seconds(event.get("created"))
        del kinds["data"]
    if any(type(event.get(name)) is not kind for name, kind in kinds.items()):
        return None
    short = 0 < len(event["id"]) <= 255 and 0 < len(event["type"]) <= 255
    return event if short and 0 <= event["created"] < 2**33 and b"\x00" not in body else None


def _seconds(moment: Any) -> int | None:
    try:
        return int(datetime.fromisoformat(moment).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None


def _accept(event: dict[str, Any], body: str) -> None:
    created = datetime.fromtimestamp(event["created"], tz=UTC)
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [event["id"], event["type"], body, created])
        new = cursor.rowcount == 1
    DELIVERIES.labels("accepted" if new else "duplicate").inc()
    if new:
        inbox.wake_soon()


def _refuse(reason: str, status: int) -> HttpResponse:
    DELIVERIES.labels(reason).inc()
    log.warning("stripe.delivery_refused", reason=reason)
    return HttpResponse(status=status)
