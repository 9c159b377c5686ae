"""What was written to a lead and what came back.

Bodies are HTML as mail programs make it, hostile ones included.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.smartlead.account import Account, Campaign
from sandbox.smartlead.letters import (
    BY_HAND,
    CASE_STUDY,
    HOSTILE,
    OTHER_REPLY,
    REPLIES,
    SENDERS,
    STEPS,
    SUBJECTS,
)
from sandbox.smartlead.people import Person, mix
from sandbox.smartlead.profiles import Profile


@dataclass(frozen=True, slots=True)
class Message:
    """One mail of a thread.

    `at` in seconds since the epoch; `step` None: not sent by the sequence.
    """

    reply: bool
    at: float
    message_id: str
    stats_id: str
    subject: str
    body: str
    step: int | None
    opens: int = 0
    clicks: int = 0


def stamp(at: float) -> str:
    """`2023-03-13T07:44:12.978Z`."""
    whole, thousandths = divmod(round(at * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{thousandths:03d}Z"


def mailbox(account: Account, lead: int) -> tuple[str, str]:
    """The name and address that this lead is written to from."""
    name = SENDERS[lead % len(SENDERS)]
    team = account.options.seed.strip("-") or "team"
    return name, f"{name.partition(' ')[0].lower()}@{team}-outreach.example"


def subject_of(campaign: Campaign, person: Person) -> str:
    subject = SUBJECTS[campaign.number % len(SUBJECTS)]
    return subject.format(first=person.first_name, company=person.company.name)


def messages(
    account: Account, campaign: Campaign, position: int, profile: Profile
) -> Iterator[Message]:
    """The seeded thread of the lead at this position, oldest first."""
    lead = campaign.lead_at(position)
    person = account.crowd.person(lead)
    added = campaign.created(position)
    fields = _fields(account, lead, person)
    replies = 0
    for number, event in enumerate(profile.events):
        if event.reply:
            body = reply_body(profile.category, fields, person.bits >> (8 + replies), nth=replies)
            replies += 1
        elif event.step is None:
            body = BY_HAND[person.bits % len(BY_HAND)].format(**fields)
        else:
            body = STEPS[event.step - 1].format(**fields)
        bits = mix(campaign.root ^ (lead << 8) ^ number)
        yield Message(
            reply=event.reply,
            at=added + event.offset,
            message_id=f"<{bits:016x}.{account.lead_id(lead)}@mail.example>",
            stats_id=stats_id(bits),
            subject=("Re: " if event.step != 1 else "") + subject_of(campaign, person),
            body=body,
            step=event.step,
            opens=event.opens,
            clicks=event.clicks,
        )


def stats_id(bits: int) -> str:
    text = f"{bits:016x}{mix(bits):016x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def reply_body(category: int | None, fields: dict[str, str], bits: int, *, nth: int = 0) -> str:
    """A reply as HTML. One in 32 carries markup that must never run in a reader's browser."""
    texts = REPLIES.get(category) or (OTHER_REPLY,)
    text = texts[(bits + nth) % len(texts)].format(**fields)
    hostile = HOSTILE[bits % len(HOSTILE)] if bits % 32 == 0 else ""
    quoted = "<blockquote>On Monday you wrote: is this a topic at your company?</blockquote>"
    signature = (
        f"<br><br>{fields['first']} {fields['last']}<br>{fields['title']}, {fields['company']}"
    )
    return f'<div dir="auto">{text}{signature}{hostile}</div>{quoted}'


def thread_fields(account: Account, lead: int) -> dict[str, str]:
    """What a template may name, ready for HTML."""
    return _fields(account, lead, account.crowd.person(lead))


def _fields(account: Account, lead: int, person: Person) -> dict[str, str]:
    return {
        "first": html.escape(person.first_name),
        "last": html.escape(person.last_name),
        "title": html.escape(person.title),
        "company": html.escape(person.company.name),
        "city": html.escape(person.company.city),
        "sender": mailbox(account, lead)[0],
    }


def plain_text(body: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", re.sub(r"<br>|</div>", "\n", body))).strip()


def history_entry(message: Message, *, plain: bool = False) -> dict[str, Any]:
    """One element of `history`, with the keys that each type has.

    `plain`: a reply's text instead of its HTML.
    """
    entry: dict[str, Any] = {
        "type": "REPLY" if message.reply else "SENT",
        "message_id": message.message_id,
        "stats_id": message.stats_id,
        "time": stamp(message.at),
        "email_body": plain_text(message.body) if plain and message.reply else message.body,
    }
    if not message.reply:
        link = {CASE_STUDY: True} if message.clicks else {}
        entry |= {
            "subject": message.subject,
            "email_seq_number": None if message.step is None else str(message.step),
            "open_count": message.opens,
            "click_count": message.clicks,
            "click_details": link,
        }
    return entry
