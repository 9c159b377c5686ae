"""Leads for tests, through the ingest as in life."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from leads.ingest.rows import LeadRow, MessageRow

JOINED = datetime(2026, 1, 1, tzinfo=UTC)


def make_connection(**fields: Any) -> Any:
    """The connection of the scope's brand."""
    from leads.models import Connection

    fields.setdefault("api_key", "sl_test_key_0001")
    fields.setdefault("key_hint", "0001")
    return Connection.objects.create(**fields)


def make_campaign(connection: Any = None, **fields: Any) -> Any:
    from leads.models import Campaign, Connection

    connection = connection or Connection.objects.first() or make_connection()
    fields.setdefault("remote_id", 1000 + Campaign.objects.count())
    fields.setdefault("name", f"Campaign {fields['remote_id']}")
    fields.setdefault("status", "ACTIVE")
    return Campaign.objects.create(connection=connection, **fields)


def lead_row(number: int, **fields: Any) -> LeadRow:
    """The `number`th of any number of distinct, believable leads."""
    values: dict[str, Any] = {
        "email": f"lead{number:07d}@example.test",
        "joined_at": JOINED + timedelta(seconds=number),
        "remote_lead_id": 5_000_000 + number,
        "map_id": 9_000_000 + number,
        "first_name": f"First{number}",
        "last_name": f"Last{number % 97}",
        "company": f"Company {number % 31}",
        "status": ("STARTED", "INPROGRESS", "COMPLETED")[number % 3],
        "category": number % 9 + 1 if number % 5 == 0 else None,
        "custom": '{"title": "Head of Sales"}',
    }
    return LeadRow(**(values | fields))


def lead_rows(count: int, start: int = 0) -> Iterator[LeadRow]:
    return (lead_row(number) for number in range(start, start + count))


def message_row(number: int, **fields: Any) -> MessageRow:
    values: dict[str, Any] = {
        "key": f"<{number}@mail.example>",
        "direction": "sent",
        "sent_at": JOINED + timedelta(days=number),
        "subject": "A question",
        "body": "<div>Hello</div>",
        "step": 1,
    }
    return MessageRow(**(values | fields))
