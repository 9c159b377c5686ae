"""Sentry: errors with request, brand and task ids, and never a secret.

Local variables and request bodies are not sent at all; every string that is sent is redacted.
"""

from __future__ import annotations

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.types import Event, Hint

from saas import context
from saas.errors import Refused, Retryable
from saas.observability.logs import redact

EXPECTED = (Refused, Retryable)  # a no to a person and a vendor's hiccup are not errors of ours


def scrub(value: Any) -> Any:
    """Return `value` with every string in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: scrub(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(item) for item in value]
    return value


def before_send(event: Event, hint: Hint) -> Event | None:
    """Drop what is expected, add our ids, redact the rest."""
    error = hint.get("exc_info", (None, None, None))[1]
    if isinstance(error, EXPECTED):
        return None
    tags = dict(event.get("tags") or {})
    tags.update({name: str(value) for name, value in context.bound().items() if name != "ip"})
    event["tags"] = tags
    request = event.get("request")
    if request:
        for name in ("data", "cookies", "query_string", "env"):
            request.pop(name, None)
    scrubbed: Event = scrub(event)
    return scrubbed


def start(dsn: str, *, release: str, environment: str, transport: Any = None) -> None:
    """Begin to report; without a DSN (and a transport) do nothing."""
    if not dsn:
        return
    sentry_sdk.init(
        dsn=dsn,
        release=release,
        environment=environment,
        transport=transport,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=20,
        before_send=before_send,
        before_breadcrumb=lambda crumb, _: scrub(crumb),
        integrations=[DjangoIntegration(), CeleryIntegration()],
        traces_sample_rate=0.0,
    )
