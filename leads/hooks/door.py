"""SmartLead's webhook: check, insert one row, answer 200. A worker does the rest.

| delivery                                            | answer | kept             |
|-----------------------------------------------------|--------|------------------|
| right, new                                          | 200    | one row          |
| right, seen before                                  | 200    | nothing more     |
| unknown token (replaced, disconnected, never ours)  | 404    | a count          |
| too large                                           | 413    | a count          |
| not an event                                        | 400    | a count          |
| wrong or missing secret, wrong signature            | 403    | a count          |

The token in the path is the proof. When the customer has told us their `secret_key`, the body must
carry it, or a signature made with it; what is given of both must be right. A signature without a
secret to check it against proves nothing and refuses nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from hmac import compare_digest
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from prometheus_client import Counter

from leads.hooks import address, event, inbox
from leads.models import Hook
from saas.tenancy import scope

log = structlog.get_logger(__name__)

MOST_BYTES = 2 * 1024 * 1024  # a whole thread comes with a category
DELIVERIES = Counter(
    "harbor_smartlead_deliveries_total", "SmartLead's webhook deliveries", ["outcome"]
)
INSERT = """
INSERT INTO leads_delivery (brand_id, key, type, body) VALUES (%s, %s, %s, %s)
ON CONFLICT (brand_id, key) DO NOTHING"""


@csrf_exempt  # SmartLead holds no cookie; the token proves the sender
@require_POST
def smartlead_webhook(request: HttpRequest, token: str) -> HttpResponse:
    """Receive one delivery; see the table above. Safe to repeat."""
    hook = address.find(token)
    if hook is None:
        return _refuse("unknown", 404)
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
            return _refuse("too_large", 413)
        body = request.body
    except RequestDataTooBig:
        return _refuse("too_large", 413)
    except (UnreadablePostError, ValueError):
        return _refuse("unreadable", 400)
    told = event.understood(body)
    if told is None:
        return _refuse("not_an_event", 400)
    if not _proven(hook, told, body, request.headers.get("X-Smartlead-Signature", "")):
        return _refuse("wrong_secret", 403)
    try:
        row = [event.key_of(told), told["event_type"], event.without_secrets(told)]
    except RecursionError:
        return _refuse("not_an_event", 400)
    _accept(hook, row)
    return HttpResponse(status=200)


def _proven(hook: Hook, told: dict[str, Any], body: bytes, signature: str) -> bool:
    if not hook.secret:
        return True
    secret = hook.secret.reveal().encode()
    given = told.get("secret_key")
    if given is None and not signature:
        return False
    if given is not None and not compare_digest(str(given).encode("utf-8", "replace"), secret):
        return False
    right = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    return not signature or compare_digest(signature.encode("utf-8", "replace"), right.encode())


def _accept(hook: Hook, row: list[str]) -> None:
    with scope(hook.brand_id), connection.cursor() as cursor:
        cursor.execute(INSERT, [hook.brand_id, *row])
        new = cursor.rowcount == 1
    DELIVERIES.labels("accepted" if new else "duplicate").inc()
    if new:
        inbox.wake_soon()


def _refuse(reason: str, status: int) -> HttpResponse:
    """The answer says nothing more, and neither does the log: the path holds the token."""
    DELIVERIES.labels(reason).inc()
    log.warning("smartlead.delivery_refused", reason=reason)
    return HttpResponse(status=status)
