"""The JSON and CSV that SmartLead answers with, oddities of type included (`total_leads` is a
string).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sandbox.smartlead.account import Account, Campaign
from sandbox.smartlead.book import Book, Standing
from sandbox.smartlead.malformed import natural_fault, spoil
from sandbox.smartlead.people import Person
from sandbox.smartlead.profiles import CUSTOM_CATEGORY
from sandbox.smartlead.threads import stamp

CATEGORIES: tuple[tuple[int, str, str | None], ...] = (
    (1, "Interested", "positive"),
    (2, "Meeting Request", "positive"),
    (3, "Not Interested", "negative"),
    (4, "Do Not Contact", "negative"),
    (5, "Information Request", "positive"),
    (6, "Out Of Office", "neutral"),
    (7, "Wrong Person", "negative"),
    (8, "Uncategorizable", "neutral"),
    (9, "Sender-Originated Bounce", "negative"),
    (CUSTOM_CATEGORY, "Next quarter", None),
)
CATEGORY_NAMES: dict[int | None, str] = {number: name for number, name, _ in CATEGORIES}
EXPORT_COLUMNS = (
    "id",
    "campaign_lead_map_id",
    "status",
    "category",
    "is_interested",
    "created_at",
    "first_name",
    "last_name",
    "email",
    "phone_number",
    "company_name",
    "website",
    "location",
    "custom_fields",
    "linkedin_profile",
    "company_url",
    "is_unsubscribed",
    "last_email_sequence_sent",
    "open_count",
    "click_count",
    "reply_count",
)


def categories() -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "name": name,
            "sentiment_type": sentiment,
            "created_at": "2022-06-21T10:11:39.108Z",
        }
        for number, name, sentiment in CATEGORIES
    ]


def campaign(account: Account, item: Campaign, *, tags: bool) -> dict[str, Any]:
    draft = item.status == "DRAFTED"
    schedule = {
        "tz": "Europe/Berlin",
        "days": [1, 2, 3, 4, 5],
        "startHour": "09:00",
        "endHour": "17:30",
    }
    shape: dict[str, Any] = {
        "id": item.id,
        "user_id": account.user_id,
        "name": item.name,
        "status": item.status,
        "created_at": stamp(item.opened),
        "updated_at": stamp(item.opened + item.length),
        "track_settings": ["DONT_REPLY_TO_AN_EMAIL"] if item.number % 2 else [],
        "scheduler_cron_value": None if draft else schedule,
        "min_time_btwn_emails": 10,
        "max_leads_per_day": 100,
        "stop_lead_settings": "REPLY_TO_AN_EMAIL",
        "schedule_start_time": None,
        "enable_ai_esp_matching": False,
        "send_as_plain_text": False,
        "follow_up_percentage": 40,
        "unsubscribe_text": "Don't want to hear from me again?",
        "parent_campaign_id": None,
        "client_id": None,
    }
    if tags:
        shape["tags"] = (
            [{"tag_id": 1, "tag_name": "outbound", "tag_color": "#0f766e"}]
            if not item.number % 3
            else []
        )
    return shape


def lead(account: Account, number: int, person: Person, *, unsubscribed: bool) -> dict[str, Any]:
    company = person.company
    return {
        "id": account.lead_id(number),
        "first_name": person.first_name,
        "last_name": person.last_name or None,
        "email": person.email,
        "phone_number": person.phone if person.bits & 3 else None,
        "company_name": company.name,
        "website": f"https://www.{company.domain}" if person.bits & 4 else None,
        "location": f"{company.city}, {company.place.country}",
        "custom_fields": {
            "job_title": person.title,
            "industry": company.industry,
            "company_size": company.size,
        },
        "linkedin_profile": f"https://www.linkedin.com/in/{person.handle}"
        if person.bits & 24
        else None,
        "company_url": company.domain,
        "is_unsubscribed": unsubscribed,
        "unsubscribed_client_id_map": None,
    }


def lead_row(book: Book, standing: Standing) -> dict[str, Any]:
    """One element of a campaign's page; malformed where the account wants some that are."""
    person = book.person(standing)
    row = {
        "campaign_lead_map_id": standing.campaign.map_id(standing.position),
        "lead_category_id": standing.category,
        "status": standing.status,
        "created_at": stamp(standing.created),
        "lead": lead(book.account, standing.lead, person, unsubscribed=unsubscribed(standing)),
    }
    fault = natural_fault(book.account, standing)
    return spoil(row, fault) if fault else row


def unsubscribed(standing: Standing) -> bool:
    return standing.profile.unsubscribed or bool(standing.change and standing.change.unsubscribed)


def lead_memberships(book: Book, number: int) -> list[Standing]:
    found = book.account.memberships(number)
    return [book.standing(item, position) for item, position in found if item.id not in book.gone]


def account_lead(book: Book, number: int) -> dict[str, Any]:
    """A lead as `/leads/all` lists it."""
    standings = lead_memberships(book, number)
    shape = lead(
        book.account,
        number,
        book.account.crowd.person(number),
        unsubscribed=any(map(unsubscribed, standings)),
    )
    shape["created_at"] = stamp(_added(book, number))
    shape["user_id"] = book.account.user_id
    shape["campaigns"] = [
        {
            "campaign_id": standing.campaign.id,
            "lead_status": standing.status,
            "campaign_name": standing.campaign.name,
            "lead_added_at": stamp(standing.created),
            "campaign_status": standing.campaign.status,
            "email_lead_map_id": standing.campaign.map_id(standing.position),
            "lead_last_seq_number": sum(1 for event in standing.profile.events if event.step),
            "lead_category_id": standing.category,
        }
        for standing in standings
    ]
    return shape


def found_lead(book: Book, number: int) -> dict[str, Any]:
    """A lead as `/leads/?email=` shows it."""
    standings = lead_memberships(book, number)
    shape = lead(
        book.account,
        number,
        book.account.crowd.person(number),
        unsubscribed=any(map(unsubscribed, standings)),
    )
    shape["created_at"] = stamp(_added(book, number))
    shape["lead_campaign_data"] = [
        {
            "campaign_lead_map_id": standing.campaign.map_id(standing.position),
            "campaign_id": standing.campaign.id,
            "campaign_name": standing.campaign.name,
            "client_id": None,
            "client_email": None,
            "lead_category_id": standing.category,
        }
        for standing in standings
    ]
    return shape


def _added(book: Book, number: int) -> int:
    home, position = book.account.memberships(number)[0]
    return home.created(position)


def export_row(book: Book, standing: Standing) -> list[object]:
    """The columns of `leads-export`, in the order of EXPORT_COLUMNS."""
    row = lead_row(book, standing)
    fields = row["lead"]
    events = standing.profile.events
    added = standing.change.messages if standing.change else []
    return [
        fields.get("id"),
        row["campaign_lead_map_id"],
        row["status"],
        CATEGORY_NAMES.get(standing.category),
        str(standing.category in (1, 2, 5)).lower(),
        row["created_at"],
        fields.get("first_name"),
        fields.get("last_name"),
        fields.get("email"),
        fields.get("phone_number"),
        fields.get("company_name"),
        fields.get("website"),
        fields.get("location"),
        json.dumps(fields.get("custom_fields"), ensure_ascii=False),
        fields.get("linkedin_profile"),
        fields.get("company_url"),
        str(fields.get("is_unsubscribed")).lower(),
        max((event.step or 0 for event in events), default=0) or None,
        sum(event.opens for event in events),
        sum(event.clicks for event in events),
        sum(event.reply for event in events) + sum(message.reply for message in added),
    ]


def statistics_rows(book: Book, standing: Standing) -> Iterator[dict[str, Any]]:
    """One row for each sequence mail sent to this lead."""
    person = book.person(standing)
    thread = list(book.thread(standing))
    sent = [message for message in thread if not message.reply and message.step is not None]
    reply = next((message for message in thread if message.reply), None)
    for message in sent:
        last = message is sent[-1]
        yield {
            "lead_name": f"{person.first_name} {person.last_name}",
            "lead_email": person.email,
            "lead_category": CATEGORY_NAMES.get(standing.category),
            "sequence_number": message.step,
            "stats_id": message.stats_id,
            "email_campaign_seq_id": standing.campaign.id * 10 + (message.step or 0),
            "seq_variant_id": None,
            "email_subject": message.subject,
            "email_message": message.body,
            "sent_time": stamp(message.at),
            "open_time": stamp(message.at + 1800) if message.opens else None,
            "click_time": stamp(message.at + 1860) if message.clicks else None,
            "reply_time": stamp(reply.at) if reply and last else None,
            "open_count": message.opens,
            "click_count": message.clicks,
            "is_unsubscribed": unsubscribed(standing),
            "is_bounced": standing.profile.bounced,
            "ignore_reply": False,
        }
