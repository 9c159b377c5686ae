"""The endpoints of the main job. Calls are made behind a gate (leads.smartlead.gate).

Never call `/email-accounts`: it answers with the passwords of mailboxes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.conf import settings

from leads.smartlead.errors import (
    LONGEST_WAIT,
    SERVICE,
    BadKey,
    Empty,
    Faulty,
    Missing,
    Pushback,
    Unwanted,
)
from saas.http import Answer, Client

PAGE = 100  # above it SmartLead answers 400
ALL_PAGE = 1000
DEFAULT_WAIT = 30.0
# A call never outlives the lease of the work that made it (leads.backfill.engine.LEASE).
TIMEOUT = 20.0
DEADLINE = 25.0
EXPORT_TIMEOUT = 125.0  # Cloudflare answers 524 in SmartLead's place at the latest then
EXPLAINED = 64 * 1024  # bytes of an answer that is not an export, read to say what it is


@lru_cache(maxsize=2)
def _client(base_url: str) -> Client:
    return Client(
        SERVICE, base_url, timeout=TIMEOUT, deadline=DEADLINE, connections=32,
        headers={"Accept": "application/json"},
    )  # fmt: skip


def call(api_key: str, path: str, **params: Any) -> tuple[Any, Answer]:
    """GET one endpoint; return the decoded JSON and the answer it came in.

    Raises the errors of leads.smartlead.errors, and saas.http's Retryable for transport faults.
    """
    answer = _client(settings.SMARTLEAD_API_BASE).get(path, params={"api_key": api_key, **params})
    return decode(answer), answer


def decode(answer: Answer) -> Any:
    """Translate an answer into its JSON or into an error. Pure."""
    body = _json(answer.body)
    if answer.status == 401 or (400 <= answer.status < 500 and _says_bad_key(body)):
        raise BadKey
    if answer.status == 429:
        raise Pushback(retry_after(answer, body))
    if answer.status == 404 and isinstance(body, dict):
        raise Missing
    if answer.status >= 500 or answer.status in (403, 404, 408) or 300 <= answer.status < 400:
        raise Faulty(f"status {answer.status}")
    if answer.status >= 400:
        raise Unwanted(answer.status)
    if not answer.body.strip() or body == {}:
        raise Empty
    if body is None:
        raise Faulty("an answer that is not JSON")
    return body


def retry_after(answer: Answer, body: Any) -> float:
    """Return the seconds that SmartLead asks us to wait: the header, else the body, else 30."""
    error = body.get("error") if isinstance(body, dict) else None
    said = error.get("retry_after") if isinstance(error, dict) else None
    for value in (answer.headers.get("Retry-After"), said):
        try:
            seconds = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
        if seconds >= 0:
            return min(max(seconds, 1.0), LONGEST_WAIT)
    return DEFAULT_WAIT


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # broken, not UTF-8, or nested beyond reason
        return None


def _says_bad_key(body: Any) -> bool:
    text = str(body.get("message") or body.get("error") or "") if isinstance(body, dict) else ""
    return "invalid api key" in text.lower()


def moment(at: datetime) -> str:
    """A moment as SmartLead's filters take it, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def campaigns(api_key: str) -> tuple[Any, Answer]:
    """All campaigns, not paged."""
    return call(api_key, "/campaigns")


def lead_page(
    api_key: str, campaign: int, offset: int, limit: int = PAGE, **filters: Any
) -> tuple[Any, Answer]:
    """One page of a campaign's leads, of those that SmartLead's filters let through."""
    return call(api_key, f"/campaigns/{campaign}/leads", offset=offset, limit=limit, **filters)


@contextmanager
def lead_export(api_key: str, campaign: int) -> Iterator[tuple[Iterator[bytes], Answer]]:
    """The whole campaign as CSV, in chunks as they come, and the answer (without a body).

    Raises what `decode` does for an answer that is no CSV. The chunks raise Retryable.
    """
    path, params = f"/campaigns/{campaign}/leads-export", {"api_key": api_key}
    client = _client(settings.SMARTLEAD_API_BASE)
    with client.stream(path, timeout=EXPORT_TIMEOUT, params=params) as stream:
        answer = Answer(stream.status, stream.headers, b"", 0.0)
        if stream.status == 200 and "csv" in stream.headers.get("Content-Type", "").lower():
            yield stream.chunks, answer
            return
        body = b""
        for chunk in stream.chunks:
            body += chunk
            if len(body) > EXPLAINED:
                break
        decode(replace(answer, body=body[:EXPLAINED]))
        raise Faulty("an export that is not CSV")


def all_leads(api_key: str, below: int = 0) -> tuple[Any, Answer]:
    """A page of the account's leads, newest first, those below the lead id `below` (0: from the
    top). Undocumented, but what SmartLead's own command line uses."""
    cursor = {"lastSeenLeadId": below} if below else {}
    return call(api_key, "/leads/all", limit=ALL_PAGE, **cursor)


def message_history(api_key: str, campaign: int, lead: int) -> tuple[Any, Answer]:
    """The thread of a lead in a campaign; `lead` is the lead's id, not the map id."""
    return call(api_key, f"/campaigns/{campaign}/leads/{lead}/message-history")


def categories(api_key: str) -> tuple[Any, Answer]:
    return call(api_key, "/leads/fetch-categories")


def webhooks(api_key: str, campaign: int) -> tuple[Any, Answer]:
    """The webhooks of a campaign."""
    return call(api_key, f"/campaigns/{campaign}/webhooks")


def save_webhook(
    api_key: str, campaign: int, *, number: int | None, url: str, events: Sequence[str]
) -> tuple[Any, Answer]:
    """Add a webhook to a campaign, or change the one with this number."""
    path, send = f"/campaigns/{campaign}/webhooks", {"id": number, "name": "Harbor"}
    answer = _client(settings.SMARTLEAD_API_BASE).request(
        "POST", path, params={"api_key": api_key},
        json=send | {"webhook_url": url, "event_types": list(events)},
    )  # fmt: skip
    return decode(answer), answer


def remove_webhook(api_key: str, campaign: int, number: int) -> tuple[Any, Answer]:
    """Remove the webhook with this number from a campaign."""
    path = f"/campaigns/{campaign}/webhooks"
    answer = _client(settings.SMARTLEAD_API_BASE).request(
        "DELETE", path, params={"api_key": api_key}, json={"id": number}
    )
    return decode(answer), answer
