"""SmartLead's answers into typed rows. Pure, and tolerant of all that facts say of its shapes.

A row that can't be taken becomes a BadRow with its reason; a whole answer of the wrong shape raises
Faulty.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2s
from typing import Any, TypeVar

from leads.ingest import fields
from leads.ingest.fields import LONGEST_BODY, Unfit
from leads.ingest.rows import BadRow, Direction, LeadRow, MessageRow, Parsed
from leads.smartlead.errors import Faulty

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class CampaignInfo:
    remote_id: int
    name: str
    status: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class CategoryInfo:
    remote_id: int
    name: str
    sentiment: str


@dataclass(frozen=True, slots=True)
class AllPage:
    """A page of all leads: rows with their campaigns' ids at SmartLead. `seen` leads came; `last`
    is the cursor for the next page, None when nothing came."""

    rows: list[tuple[int, LeadRow]]
    bad: list[BadRow]
    seen: int
    last: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class History:
    messages: list[MessageRow]
    bad: list[BadRow]


def campaigns(body: Any) -> list[CampaignInfo]:
    """Parse the list of campaigns; entries without an id are left out. Raises Faulty."""
    good, _ = _each(_rows(body), _campaign)
    return good


def categories(body: Any) -> list[CategoryInfo]:
    """Parse the list of categories; entries without id or name are left out. Raises Faulty."""
    good, _ = _each(_rows(body), _category)
    return good


def lead_page(body: Any) -> Parsed:
    """Parse a page of a campaign's leads. Raises Faulty for anything but `{"data": [...]}`."""
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        raise Faulty("a page of leads without leads")
    good, bad = _each(body["data"], _lead)
    return Parsed(good, bad, fields.total(body.get("total_leads")))


EXPORT_NEEDS = {"id", "campaign_lead_map_id", "email", "status"}


def export(
    source: Iterable[list[str] | csv.Error], categories: Mapping[str, int]
) -> Iterator[LeadRow | BadRow]:
    """Parse the records of a campaign's export, its header first. Raises Faulty without one.

    `categories` maps names in lower case to ids; the export names them.
    """
    records = iter(source)
    header = next(records, None)
    if not isinstance(header, list) or not set(header) >= EXPORT_NEEDS:
        raise Faulty("an export without its columns")
    for record in records:
        if isinstance(record, csv.Error):
            yield BadRow("bad_csv", f"The line can't be read: {record}.", "")
            continue
        row = dict(zip(header, record, strict=False))
        try:
            yield _exported(row, categories)
        except Unfit as e:
            yield BadRow(e.reason, e.detail, fields.excerpt(row))


def _exported(row: dict[str, str], categories: Mapping[str, int]) -> LeadRow:
    def text(name: str) -> str:
        return fields.text(row.get(name), name)

    return LeadRow(
        email=fields.email(row.get("email")),
        joined_at=fields.joined(row.get("created_at") or None),
        remote_lead_id=fields.identifier(row.get("id"), "id"),
        map_id=fields.identifier(row.get("campaign_lead_map_id"), "campaign_lead_map_id"),
        first_name=text("first_name"),
        last_name=text("last_name"),
        company=text("company_name"),
        phone=text("phone_number"),
        website=text("website"),
        location=text("location"),
        linkedin=text("linkedin_profile"),
        company_url=text("company_url"),
        custom=fields.custom_text(row.get("custom_fields", "")),
        unsubscribed=row.get("is_unsubscribed", "").lower() == "true",
        status=text("status")[:40],
        category=categories.get(row.get("category", "").strip().lower()),
        replied=fields.count(row.get("reply_count")) > 0,
        opened=fields.count(row.get("open_count")) > 0,
    )


def all_page(body: Any) -> AllPage:
    """Parse a page of `/leads/all`: a row for each campaign of each lead. Raises Faulty."""
    data = body.get("data") if isinstance(body, dict) and body.get("ok") is True else None
    if not isinstance(data, dict) or not isinstance(data.get("leads"), list):
        raise Faulty("a list of leads without leads")
    good, bad = _each(data["leads"], _everywhere)
    rows = [row for lead in good for row in lead]
    last = data.get("lastSeenLeadId")
    seen = fields.identifier(last, "lastSeenLeadId") if data["leads"] else None
    return AllPage(rows, bad, len(data["leads"]), seen, fields.total(data.get("totalCount")))


def _everywhere(raw: Any) -> list[tuple[int, LeadRow]]:
    """A lead with its campaigns, as rows of those: each with the campaign's id at SmartLead."""
    lead = fields.mapping(raw, "a lead")
    places = lead.get("campaigns")
    return [
        (
            fields.identifier(place.get("campaign_id"), "campaign_id"),
            _lead(
                {
                    "lead": lead,
                    "created_at": place.get("lead_added_at"),
                    "campaign_lead_map_id": place.get("email_lead_map_id"),
                    "status": place.get("lead_status"),
                    "lead_category_id": place.get("lead_category_id"),
                }
            ),
        )
        for place in (places if isinstance(places, list) else [])
        if isinstance(place, dict)
    ]


def history(body: Any) -> History:
    """Parse a thread. Raises Faulty for anything but `{"history": [...]}`."""
    if not isinstance(body, dict) or not isinstance(body.get("history"), list):
        raise Faulty("a thread without messages")
    ours, theirs = (fields.address(body.get(name)) for name in ("from", "to"))
    good, bad = _each(body["history"], lambda raw: _message(raw, ours, theirs))
    return History(good, bad)


def _each(rows: list[Any], parse: Callable[[Any], Row]) -> tuple[list[Row], list[BadRow]]:
    good: list[Row] = []
    bad: list[BadRow] = []
    for raw in rows:
        try:
            good.append(parse(raw))
        except Unfit as e:
            bad.append(BadRow(e.reason, e.detail, fields.excerpt(raw)))
    return good, bad


def _rows(body: Any) -> list[Any]:
    rows = body.get("data") if isinstance(body, dict) else body
    if not isinstance(rows, list):
        raise Faulty("an answer without its list")
    return rows


def _campaign(raw: Any) -> CampaignInfo:
    row = fields.mapping(raw, "a campaign")
    return CampaignInfo(
        remote_id=fields.identifier(row.get("id"), "id"),
        name=fields.label(row.get("name"), 300) or "Unnamed campaign",
        status=fields.label(row.get("status"), 20),
        created_at=fields.moment_or_none(row.get("created_at")),
    )


def _category(raw: Any) -> CategoryInfo:
    row = fields.mapping(raw, "a category")
    return CategoryInfo(
        remote_id=fields.identifier(row.get("id"), "id"),
        name=fields.label(row.get("name"), 200) or "Unnamed",
        sentiment=fields.label(row.get("sentiment_type"), 20),
    )


def _lead(raw: Any) -> LeadRow:
    row = fields.mapping(raw, "a row")
    lead = row.get("lead")
    if not isinstance(lead, dict):
        raise Unfit("no_lead", "The row has no lead in it.")
    category = row.get("lead_category_id")
    return LeadRow(
        email=fields.email(lead.get("email")),
        joined_at=fields.joined(row.get("created_at")),
        remote_lead_id=fields.identifier(lead.get("id"), "id"),
        map_id=fields.identifier(row.get("campaign_lead_map_id"), "campaign_lead_map_id"),
        first_name=fields.text(lead.get("first_name"), "first_name"),
        last_name=fields.text(lead.get("last_name"), "last_name"),
        company=fields.text(lead.get("company_name"), "company_name"),
        phone=fields.text(lead.get("phone_number"), "phone_number", numbers=True),
        website=fields.text(lead.get("website"), "website"),
        location=fields.text(lead.get("location"), "location"),
        linkedin=fields.text(lead.get("linkedin_profile"), "linkedin_profile"),
        company_url=fields.text(lead.get("company_url"), "company_url"),
        custom=fields.custom(lead.get("custom_fields")),
        unsubscribed=lead.get("is_unsubscribed") is True,
        status=fields.text(row.get("status"), "status")[:40],
        category=None if category is None else fields.identifier(category, "lead_category_id"),
    )


def _message(raw: Any, ours: str, theirs: str) -> MessageRow:
    row = fields.mapping(raw, "a message")
    kinds: dict[Any, Direction] = {"SENT": "sent", "REPLY": "reply"}
    kind = row.get("type")
    direction = kinds.get(kind) if isinstance(kind, str) else None
    if direction is None:
        raise Unfit("unknown_type", "The message is neither sent nor a reply.")
    sent_at = fields.moment(row.get("time"), "time")
    subject = fields.text(row.get("subject"), "subject")
    body = fields.text(row.get("email_body"), "email_body", longest=LONGEST_BODY)
    step = row.get("email_seq_number")
    return MessageRow(
        key=_key(row, direction, sent_at, body),
        direction=direction,
        sent_at=sent_at,
        sender=ours if direction == "sent" else theirs,
        recipient=theirs if direction == "sent" else ours,
        subject=subject,
        body=body,
        step=None if step is None else fields.count(step, most=32_767),
        opens=fields.count(row.get("open_count")),
        clicks=fields.count(row.get("click_count")),
    )


def _key(row: dict[str, Any], direction: Direction, sent_at: datetime, body: str) -> str:
    """Tell a message from all others of its lead: its id, else what never changes about it."""
    known = fields.text(row.get("message_id"), "message_id")
    if not known:
        stats = fields.text(row.get("stats_id"), "stats_id")
        known = f"{stats}@{sent_at.isoformat()}" if stats else f"{sent_at.isoformat()}:{body}"
    if len(known) > 300:
        known = blake2s(known.encode(), digest_size=16).hexdigest()
    return f"{direction}:{known}"
