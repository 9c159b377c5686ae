"""Life in an account: replies come, categories change, leads are added, campaigns deleted."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.control import BadControl, number_of
from sandbox.smartlead.account import MAX_LEADS, Campaign
from sandbox.smartlead.book import Book, Change, Standing
from sandbox.smartlead.people import mix
from sandbox.smartlead.registry import Registry, Tenant
from sandbox.smartlead.shapes import CATEGORY_NAMES
from sandbox.smartlead.threads import Message, reply_body, stats_id, subject_of, thread_fields
from sandbox.smartlead.webhooks import Courier, Happening

WHAT = ("reply", "category", "unsubscribe", "grow", "delete_campaign")
MAX_COUNT = 10_000


@dataclass(frozen=True, slots=True)
class Touch:
    """What is to happen to whom.

    `times` is how often each webhook is sent: 0 loses it, 2 doubles it.
    """

    what: str
    count: int
    seed: int
    campaign: int | None
    lead: int | None
    category: int | None
    text: str | None
    times: int


def parse(values: Mapping[str, Any]) -> Touch:
    """Raises BadControl, naming what is wrong."""
    names = {*Touch.__dataclass_fields__, "key"}
    unknown = sorted(set(values) - names)
    if unknown:
        raise BadControl(f"{unknown[0]} is unknown; there are {', '.join(sorted(names))}.")
    what = values.get("what", "reply")
    if what not in WHAT:
        raise BadControl(f"what must be one of {', '.join(WHAT)}.")
    category = _optional(values, "category")
    if category is not None and category not in CATEGORY_NAMES:
        raise BadControl(f"category must be one of {', '.join(map(str, CATEGORY_NAMES))}.")
    count = int(number_of(values, "count", 1))
    if not 1 <= count <= (MAX_LEADS if what == "grow" else MAX_COUNT):
        raise BadControl(f"count must be 1 to {MAX_COUNT}.")
    text = values.get("text")
    if text is not None and not isinstance(text, str):
        raise BadControl("text must be a string.")
    return Touch(
        what=what,
        count=count,
        seed=int(number_of(values, "seed", 0)),
        campaign=_optional(values, "campaign"),
        lead=_optional(values, "lead"),
        category=category,
        text=text,
        times=int(number_of(values, "times", 1)),
    )


def _optional(values: Mapping[str, Any], name: str) -> int | None:
    return None if values.get(name) is None else int(number_of(values, name, 0))


class Toucher:
    """Carries touches out: changes the book, saves it once, then sends webhooks."""

    def __init__(self, registry: Registry, courier: Courier) -> None:
        self._registry = registry
        self._courier = courier

    def touch(self, tenant: Tenant, wanted: Touch) -> dict[str, Any]:
        """Says which leads were touched and how many webhooks were started."""
        book = tenant.book
        if wanted.what in ("grow", "delete_campaign"):
            self._change_campaign(book, wanted)
            self._registry.save()
            return {"touched": [], "webhooks": 0, "leads_now": book.account.leads}
        happenings = [
            h for standing in _chosen(book, wanted) for h in self._apply(book, standing, wanted)
        ]
        self._registry.save()
        started = sum(
            self._courier.tell(tenant.key, book, h, times=wanted.times) for h in happenings
        )
        touched = {_place(h.standing): _shown(book, h.standing) for h in happenings}
        return {
            "touched": list(touched.values()),
            "webhooks": started,
            "leads_now": book.account.leads,
        }

    def _change_campaign(self, book: Book, wanted: Touch) -> None:
        campaign = _campaigns(book, wanted)[0]
        if wanted.what == "grow":
            if book.account.leads + wanted.count > MAX_LEADS:
                raise BadControl(f"An account has at most {MAX_LEADS} leads.")
            book.grow(campaign, wanted.count, int(self._registry.clock.now()))
        else:
            book.gone.add(campaign.id)

    def _apply(self, book: Book, standing: Standing, wanted: Touch) -> list[Happening]:
        change = book.changes.setdefault(_place(standing), Change())
        now = self._registry.clock.now()
        happenings: list[Happening] = []
        if wanted.what == "reply":
            sent, reply = _replied(book, standing, change, wanted, now)
            change.status = "COMPLETED"
            after = book.standing(*_where(standing))
            happenings.append(Happening("EMAIL_REPLY", after, now, reply=reply, sent=sent))
        elif wanted.what == "unsubscribe":
            change.unsubscribed, change.status = True, "COMPLETED"
            after = book.standing(*_where(standing))
            happenings.append(Happening("LEAD_UNSUBSCRIBED", after, now))
        if wanted.what == "category" or wanted.category is not None:
            change.category, change.recategorised = wanted.category, True
            after = book.standing(*_where(standing))
            old = standing.category
            happenings.append(Happening("LEAD_CATEGORY_UPDATED", after, now, old_category=old))
        return happenings


def _place(standing: Standing) -> tuple[int, int]:
    return standing.campaign.id, standing.position


def _where(standing: Standing) -> tuple[Campaign, int]:
    return standing.campaign, standing.position


def _replied(
    book: Book, standing: Standing, change: Change, wanted: Touch, now: float
) -> tuple[Message | None, Message]:
    """Adds a reply to the lead's thread, after a first mail when nothing was sent yet."""
    thread = list(book.thread(standing))
    sent = next((m for m in reversed(thread) if not m.reply), None)
    if sent is None:
        sent = _message(book, standing, len(thread), now - 60, reply=False, body="<div>Hello</div>")
        change.messages.append(sent)
        thread.append(sent)
    fields = thread_fields(book.account, standing.lead)
    category = wanted.category if wanted.category is not None else standing.category
    body = wanted.text or reply_body(category, fields, wanted.seed * 31 + len(thread))
    reply = _message(book, standing, len(thread), now, reply=True, body=body)
    change.messages.append(reply)
    return sent, reply


def _message(
    book: Book, standing: Standing, number: int, at: float, *, reply: bool, body: str
) -> Message:
    bits = mix(standing.campaign.root ^ (standing.lead << 8) ^ number ^ (1 << 63))
    subject = subject_of(standing.campaign, book.person(standing))
    return Message(
        reply=reply,
        at=at,
        message_id=f"<{bits:016x}.{book.account.lead_id(standing.lead)}@mail.example>",
        stats_id=stats_id(bits),
        subject=f"Re: {subject}" if reply else subject,
        body=body,
        step=None if reply else 1,
    )


def _campaigns(book: Book, wanted: Touch) -> list[Campaign]:
    """The campaign asked for, or all that have leads."""
    if wanted.campaign is None:
        found = [campaign for campaign in book.campaigns() if campaign.size]
    else:
        one = book.campaign(wanted.campaign)
        found = [one] if one else []
    if not found:
        raise BadControl("There is no such campaign, or none with leads.")
    return found


def _chosen(book: Book, wanted: Touch) -> list[Standing]:
    """The lead asked for, or `count` that were written to, drawn by the seed."""
    campaigns = _campaigns(book, wanted)
    if wanted.lead is not None:
        number = book.account.lead_number(wanted.lead)
        places = [] if number is None else book.account.memberships(number)
        found = [book.standing(*place) for place in places if place[0] in campaigns]
        if not found:
            raise BadControl("There is no such lead here; use the nested lead.id.")
        return found[:1]
    dice = random.Random(wanted.seed)
    chosen: dict[tuple[int, int], Standing] = {}
    for _ in range(wanted.count * 20):
        campaign = dice.choices(campaigns, [c.size for c in campaigns])[0]
        standing = book.standing(campaign, dice.randrange(campaign.size))
        if standing.profile.events:
            chosen[campaign.id, standing.position] = standing
        if len(chosen) == wanted.count:
            break
    return list(chosen.values())


def _shown(book: Book, standing: Standing) -> dict[str, Any]:
    return {
        "campaign_id": standing.campaign.id,
        "lead_id": book.account.lead_id(standing.lead),
        "email": book.person(standing).email,
        "status": standing.status,
        "category": standing.category,
    }
