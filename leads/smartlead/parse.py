"""SmartLead's answers into typed rows. Pure, and tolerant of all that facts say of its shapes.

A row that can't be taken becomes a BadRow with its reason; a whole answer of the wrong shape raises
Faulty. Strings with NUL can't be stored by PostgreSQL, nor halves of surrogate pairs.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2s
from typing import Any, TypeVar

from leads.ingest.fit import LONGEST_CUSTOM, LONGEST_TEXT, Unfit, address
from leads.ingest.rows import EXCERPT, BadRow, Direction, LeadRow, MessageRow, Parsed
from leads.smartlead.errors import Faulty

LONGEST_BODY = 1_000_000
BELIEVABLE_YEARS = range(1970, 2200)
BIGINT = 2**63
NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)

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
    return Parsed(good, bad, _total(body.get("total_leads")))


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
            yield BadRow(e.reason, e.detail, _excerpt(row))


def _exported(row: dict[str, str], categories: Mapping[str, int]) -> LeadRow:
    def text(name: str) -> str:
        return _text(row.get(name), name)

    return LeadRow(
        email=_email(row.get("email")),
        joined_at=_joined(row.get("created_at") or None),
        remote_lead_id=_identifier(row.get("id"), "id"),
        map_id=_identifier(row.get("campaign_lead_map_id"), "campaign_lead_map_id"),
        first_name=text("first_name"),
        last_name=text("last_name"),
        company=text("company_name"),
        phone=text("phone_number"),
        website=text("website"),
        location=text("location"),
        linkedin=text("linkedin_profile"),
        company_url=text("company_url"),
        custom=_custom(_json(row.get("custom_fields"))),
        unsubscribed=row.get("is_unsubscribed", "").lower() == "true",
        status=text("status")[:40],
        category=categories.get(row.get("category", "").strip().lower()),
        replied=_count(row.get("reply_count")) > 0,
        opened=_count(row.get("open_count")) > 0,
    )


def _json(text: str | None) -> Any:
    """Read a field that holds JSON; None for none, and for what isn't any."""
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def all_page(body: Any) -> AllPage:
    """Parse a page of `/leads/all`: a row for each campaign of each lead. Raises Faulty."""
    data = body.get("data") if isinstance(body, dict) and body.get("ok") is True else None
    if not isinstance(data, dict) or not isinstance(data.get("leads"), list):
        raise Faulty("a list of leads without leads")
    good, bad = _each(data["leads"], _everywhere)
    rows = [row for lead in good for row in lead]
    last = data.get("lastSeenLeadId")
    seen = _identifier(last, "lastSeenLeadId") if data["leads"] else None
    return AllPage(rows, bad, len(data["leads"]), seen, _total(data.get("totalCount")))


def _everywhere(raw: Any) -> list[tuple[int, LeadRow]]:
    """A lead with its campaigns, as rows of those: each with the campaign's id at SmartLead."""
    lead = _mapping(raw, "a lead")
    places = lead.get("campaigns")
    return [
        (
            _identifier(place.get("campaign_id"), "campaign_id"),
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
    ours, theirs = (_address(body.get(name)) for name in ("from", "to"))
    good, bad = _each(body["history"], lambda raw: _message(raw, ours, theirs))
    return History(good, bad)


def _each(rows: list[Any], parse: Callable[[Any], Row]) -> tuple[list[Row], list[BadRow]]:
    good: list[Row] = []
    bad: list[BadRow] = []
    for raw in rows:
        try:
            good.append(parse(raw))
        except Unfit as e:
            bad.append(BadRow(e.reason, e.detail, _excerpt(raw)))
    return good, bad


def _rows(body: Any) -> list[Any]:
    rows = body.get("data") if isinstance(body, dict) else body
    if not isinstance(rows, list):
        raise Faulty("an answer without its list")
    return rows


def _campaign(raw: Any) -> CampaignInfo:
    row = _mapping(raw, "a campaign")
    return CampaignInfo(
        remote_id=_identifier(row.get("id"), "id"),
        name=_label(row.get("name"), 300) or "Unnamed campaign",
        status=_label(row.get("status"), 20),
        created_at=_moment_or_none(row.get("created_at")),
    )


def _category(raw: Any) -> CategoryInfo:
    row = _mapping(raw, "a category")
    return CategoryInfo(
        remote_id=_identifier(row.get("id"), "id"),
        name=_label(row.get("name"), 200) or "Unnamed",
        sentiment=_label(row.get("sentiment_type"), 20),
    )


def _lead(raw: Any) -> LeadRow:
    row = _mapping(raw, "a row")
    lead = row.get("lead")
    if not isinstance(lead, dict):
        raise Unfit("no_lead", "The row has no lead in it.")
    category = row.get("lead_category_id")
    return LeadRow(
        email=_email(lead.get("email")),
        joined_at=_joined(row.get("created_at")),
        remote_lead_id=_identifier(lead.get("id"), "id"),
        map_id=_identifier(row.get("campaign_lead_map_id"), "campaign_lead_map_id"),
        first_name=_text(lead.get("first_name"), "first_name"),
        last_name=_text(lead.get("last_name"), "last_name"),
        company=_text(lead.get("company_name"), "company_name"),
        phone=_text(lead.get("phone_number"), "phone_number", numbers=True),
        website=_text(lead.get("website"), "website"),
        location=_text(lead.get("location"), "location"),
        linkedin=_text(lead.get("linkedin_profile"), "linkedin_profile"),
        company_url=_text(lead.get("company_url"), "company_url"),
        custom=_custom(lead.get("custom_fields")),
        unsubscribed=lead.get("is_unsubscribed") is True,
        status=_text(row.get("status"), "status")[:40],
        category=None if category is None else _identifier(category, "lead_category_id"),
    )


def _message(raw: Any, ours: str, theirs: str) -> MessageRow:
    row = _mapping(raw, "a message")
    kinds: dict[Any, Direction] = {"SENT": "sent", "REPLY": "reply"}
    kind = row.get("type")
    direction = kinds.get(kind) if isinstance(kind, str) else None
    if direction is None:
        raise Unfit("unknown_type", "The message is neither sent nor a reply.")
    sent_at = _moment(row.get("time"), "time")
    subject = _text(row.get("subject"), "subject")
    body = _text(row.get("email_body"), "email_body", longest=LONGEST_BODY)
    step = row.get("email_seq_number")
    return MessageRow(
        key=_key(row, direction, sent_at, body),
        direction=direction,
        sent_at=sent_at,
        sender=ours if direction == "sent" else theirs,
        recipient=theirs if direction == "sent" else ours,
        subject=subject,
        body=body,
        step=None if step is None else _count(step, most=32_767),
        opens=_count(row.get("open_count")),
        clicks=_count(row.get("click_count")),
    )


def _key(row: dict[str, Any], direction: Direction, sent_at: datetime, body: str) -> str:
    """Tell a message from all others of its lead: its id, else what never changes about it."""
    known = _text(row.get("message_id"), "message_id")
    if not known:
        stats = _text(row.get("stats_id"), "stats_id")
        known = f"{stats}@{sent_at.isoformat()}" if stats else f"{sent_at.isoformat()}:{body}"
    if len(known) > 300:
        known = blake2s(known.encode(), digest_size=16).hexdigest()
    return f"{direction}:{known}"


def _mapping(raw: Any, what: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Unfit("wrong_type", f"There is something else in place of {what}.")
    return raw


def _email(value: Any) -> str:
    return address(_text(value, "email"))


def _address(value: Any) -> str:
    try:
        return _text(value, "address")[:320]
    except Unfit:
        return ""


def _label(value: Any, longest: int) -> str:
    """Read a name leniently: a campaign is not lost for a character in its name."""
    text = value.replace("\x00", "") if isinstance(value, str) else ""
    return text.encode("utf-8", "ignore").decode()[:longest].strip()


def _text(value: Any, field: str, *, longest: int = LONGEST_TEXT, numbers: bool = False) -> str:
    if value is None:
        return ""
    if numbers and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Unfit("wrong_type", f"{field} is not text.")
    if len(value) > longest:
        raise Unfit("too_large", f"{field} has {len(value)} characters, more than {longest}.")
    _storable(value, field)
    return value.strip()


def _storable(value: str, field: str) -> None:
    if "\x00" in value:
        raise Unfit("nul", f"{field} holds a NUL character.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as e:
            raise Unfit("bad_text", f"{field} holds half of a character.") from e


def _custom(value: Any) -> str:
    if value in (None, "", []):
        return "{}"
    if not isinstance(value, dict):
        raise Unfit("wrong_type", "custom_fields is not a set of fields.")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError) as e:
        raise Unfit("bad_number", "custom_fields holds what is no number.") from e
    if len(text) > LONGEST_CUSTOM:
        raise Unfit("too_large", f"custom_fields has {len(text)} characters.")
    if "\\u0000" in text:
        raise Unfit("nul", "custom_fields holds a NUL character.")
    _storable(text, "custom_fields")
    return text


def _identifier(value: Any, field: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < BIGINT:
        raise Unfit("wrong_type", f"{field} is not an id.")
    return value


def _count(value: Any, most: int = 2**31 - 1) -> int:
    """Read a count as leniently as it matters: anything else is 0."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    return min(value, most) if isinstance(value, int) and value > 0 else 0


def _total(value: Any) -> int | None:
    """Read `total_leads`, a string in life. None when it can't be read."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and 0 <= value < BIGINT else None


def _joined(value: Any) -> datetime:
    return NO_DATE if value is None else _moment(value, "created_at")


def _moment(value: Any, field: str) -> datetime:
    if not isinstance(value, str):
        raise Unfit("bad_time", f"{field} is not a time.")
    try:
        moment = datetime.fromisoformat(value.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError) as e:
        raise Unfit("bad_time", f"{field} is not a time.") from e
    if moment.year not in BELIEVABLE_YEARS:  # the calendar's ends have no local time to show
        raise Unfit("bad_time", f"{field} is not a time.")
    return moment


def _moment_or_none(value: Any) -> datetime | None:
    try:
        return _moment(value, "created_at")
    except Unfit:
        return None


def _excerpt(raw: Any) -> str:
    """Return the start of the row as it came, without building all of a huge one twice."""
    try:
        return json.dumps(raw, ensure_ascii=False)[:EXCERPT]
    except (ValueError, RecursionError):
        return repr(type(raw))
