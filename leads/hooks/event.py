"""What SmartLead's events say. Pure.

An event is turned into the answers that the API would have given (a page of one lead, a thread), so
that one parser reads both and a message has one key, however it came.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2s
from typing import Any

from leads.ingest import fields
from leads.ingest.rows import BadRow, LeadRow, Parsed
from leads.smartlead import parse
from leads.smartlead.errors import Faulty
from leads.smartlead.parse import History

AHEAD = timedelta(minutes=10)  # more than this before us no clock of SmartLead's is
# Of the delivery, not of the event. Our token stands in the address, and the secret is one.
OF_DELIVERY = ("webhook_id", "webhook_name", "webhook_url", "secret_key", "metadata")
SECRETS = ("secret_key", "webhook_url")
TIMES = ("time_replied", "time_sent", "time_opened", "time_clicked", "event_timestamp")


@dataclass(frozen=True, slots=True)
class Event:
    """An event of `type` at `at`. `campaign`: its id at SmartLead; `email` in lower case, or ""."""

    type: str
    at: datetime
    campaign: int | None
    email: str
    body: dict[str, Any]


def understood(body: bytes) -> dict[str, Any] | None:
    """Return the event in a request's body; None when it is none."""
    try:
        event = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    kind = event.get("event_type") if isinstance(event, dict) else None
    return event if isinstance(kind, str) and 0 < len(kind) <= 60 and kind.isascii() else None


def key_of(body: dict[str, Any]) -> str:
    """Tell an event from all others of its brand, the same for each of its deliveries.

    What happened to whom and when, if the event says so; else everything in it that is not about
    the delivery. A webhook of the campaign and one of the account tell of the same event.
    """
    who = [body.get("sl_email_lead_map_id"), body.get("sl_email_lead_id"), body.get("stats_id")]
    when = [body.get(name) for name in TIMES]
    if any(when) and (any(who) or body.get("campaign_id")):
        category = body.get("lead_category")
        what = [
            *(_field(body.get(name), "message_id") for name in ("sent_message", "reply_message")),
            *(_field(category, name) for name in ("old_id", "new_id", "new_name")),
            *(body.get(name) for name in ("sl_lead_email", "to_email", "sequence_number")),
            body.get("link") or body.get("link_clicked"),
            body["event_type"] == "CAMPAIGN_STATUS_CHANGED" and body.get("campaign_status"),
        ]
        told: Any = [body["event_type"], body.get("campaign_id"), who, when, what]
    else:
        told = {name: value for name, value in body.items() if name not in OF_DELIVERY}
    return blake2s(json.dumps(told, sort_keys=True).encode(), digest_size=32).hexdigest()


def without_secrets(body: dict[str, Any]) -> str:
    """Return the event as JSON to keep."""
    return json.dumps({name: value for name, value in body.items() if name not in SECRETS})


def read(body: dict[str, Any], received_at: datetime) -> Event:
    """Read what all events have in common. No event is from the future."""
    at = next(
        filter(None, (fields.moment_or_none(body.get(name)) for name in reversed(TIMES))),
        received_at,
    )
    letters = body.get("leadCorrespondence")
    email = (
        body.get("sl_lead_email")
        or _field(letters, "targetLeadEmail")
        or _field(body.get("lead_data"), "email")
        or body.get("to_email")
    )
    return Event(
        type=str(body.get("event_type", "")),
        at=min(at, received_at + AHEAD),
        campaign=number(body.get("campaign_id")),
        email=email.strip().lower() if isinstance(email, str) else "",
        body=body,
    )


def lead(event: Event, *, remote_id: int | None, new: bool) -> LeadRow | BadRow:
    """Return the event's lead, as a row that has no word on status and category.

    `remote_id` stands in for an id that the event lacks. Who the lead is, an event tells only of a
    `new` one: of others we may have read later things than a late event knows.
    """
    body = event.body
    data = body.get("lead_data")
    told = data if isinstance(data, dict) else {}
    raw = dict(told) if new else {"is_unsubscribed": told.get("is_unsubscribed")}
    raw["email"] = event.email
    raw["id"] = body.get("sl_email_lead_id") or told.get("id") or remote_id
    name = body.get("to_name")
    if new and isinstance(name, str) and not raw.get("first_name"):
        raw["first_name"], _, raw["last_name"] = name.strip().partition(" ")
    map_id = number(body.get("sl_email_lead_map_id"))
    row = {"lead": raw, "campaign_lead_map_id": map_id or 1, "status": ""}
    if new:  # nothing earlier is known of it
        row["created_at"] = event.at.isoformat()
    page = parse.lead_page({"data": [row]})
    return _one(page, event, map_id)


def _one(page: Parsed, event: Event, map_id: int | None) -> LeadRow | BadRow:
    if page.bad:
        return page.bad[0]
    return replace(
        page.rows[0],
        map_id=map_id,
        unsubscribed=page.rows[0].unsubscribed or event.type == "LEAD_UNSUBSCRIBED",
        replied=event.type == "EMAIL_REPLY",
        opened=event.type in ("EMAIL_OPEN", "EMAIL_LINK_CLICK"),
    )


def thread(event: Event) -> History:
    """Return the messages in the event; a mail without id or time is left out, not bad."""
    body = event.body
    history = body.get("history")
    rows = list(history) if isinstance(history, list) else []
    sent = _mail(body.get("sent_message"), "SENT")
    reply = _mail(body.get("reply_message"), "REPLY")
    if sent is not None:
        # The subject of an event that tells of a reply is the reply's.
        subject = None if reply else body.get("subject")
        rows.append(sent | {"subject": subject, "email_seq_number": _step(body)})
    if reply is not None:
        if not reply["email_body"]:
            reply["email_body"] = body.get("reply_body")
        rows.append(reply | {"subject": body.get("subject")})
    try:
        return parse.history({"history": rows, "from": body.get("from_email"), "to": event.email})
    except Faulty:
        return History([], [])


def category(event: Event) -> tuple[int | None, str] | None:
    """Return the lead's new category and its name; None when the event doesn't say."""
    told = event.body.get("lead_category")
    if not isinstance(told, dict) or "new_id" not in told:
        return None
    new, name = told["new_id"], told.get("new_name")
    if new is not None and number(new) is None:
        return None
    return number(new), name if isinstance(name, str) else ""


def number(value: Any) -> int | None:
    """Read an id, which SmartLead writes as a number or as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    good = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63
    return value if good else None


def _mail(mail: Any, kind: str) -> dict[str, Any] | None:
    if not isinstance(mail, dict) or not mail.get("message_id") or not mail.get("time"):
        return None
    body = mail.get("html") or mail.get("text")
    return {
        "type": kind,
        "message_id": mail["message_id"],
        "time": mail["time"],
        "email_body": body,
    }


def _step(body: dict[str, Any]) -> Any:
    step = body.get("sequence_number")
    return step if isinstance(step, int | str) else None


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
