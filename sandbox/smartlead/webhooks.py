"""Webhooks as SmartLead sends them: these bodies, a secret in the body, up to three retries."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.smartlead import shapes
from sandbox.smartlead.book import Book, Standing
from sandbox.smartlead.registry import Registry, Webhook
from sandbox.smartlead.threads import Message, history_entry, mailbox, plain_text, stamp

EVENTS = (
    "EMAIL_SENT",
    "FIRST_EMAIL_SENT",
    "EMAIL_OPEN",
    "EMAIL_LINK_CLICK",
    "EMAIL_REPLY",
    "EMAIL_BOUNCE",
    "LEAD_UNSUBSCRIBED",
    "LEAD_CATEGORY_UPDATED",
    "CAMPAIGN_STATUS_CHANGED",
    "MANUAL_STEP_REACHED",
    "UNTRACKED_REPLIES",
)
RETRY_AFTER = (0.5, 2.0, 8.0)  # seconds before the second, third and fourth attempt
TIMEOUT = 30
_LOG_LENGTH = 1000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a webhook tells of."""

    event: str
    standing: Standing
    at: float
    reply: Message | None = None
    sent: Message | None = None
    old_category: int | None = None


class Courier:
    """Delivers in the background; each attempt is noted in the registry's deliveries."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, key: str, book: Book, happening: Happening, *, times: int = 1) -> int:
        """Starts delivery to every webhook that wants it, `times` times each.

        Returns how many started.
        """
        wanted = [
            hook
            for hook in self._registry.webhooks
            if hook.key == key
            and happening.event in hook.events
            and hook.campaign in (None, happening.standing.campaign.id)
        ]
        for hook in wanted * times:
            body = json.dumps(body_for(hook, book, happening)).encode()
            task = asyncio.create_task(self._deliver(hook, happening.event, body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(wanted) * times

    async def drop(self) -> None:
        """Gives up what is still to be delivered."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, hook: Webhook, event: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "axios/1.7.2"}
        if hook.signed:
            digest = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Smartlead-Signature"] = f"sha256={digest}"
        async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
            for attempt, wait in enumerate((0.0, *RETRY_AFTER), start=1):
                await asyncio.sleep(wait)
                status = await _post(client, hook.url, body, headers)
                self._note(hook, event, attempt, status)
                if status == 200:
                    return

    def _note(self, hook: Webhook, event: str, attempt: int, status: int | None) -> None:
        log = self._registry.deliveries
        log.append(
            {
                "webhook": hook.id,
                "event": event,
                "attempt": attempt,
                "status": status,
                "at": stamp(time.time()),
            }
        )
        del log[:-_LOG_LENGTH]


async def _post(
    client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]
) -> int | None:
    """The status of the answer; None when there was none."""
    try:
        return (await client.post(url, content=body, headers=headers)).status_code
    except httpx.HTTPError as error:
        _log.info("A webhook was not delivered: %s", error)
        return None


def body_for(hook: Webhook, book: Book, happening: Happening) -> dict[str, Any]:
    """What is posted for this happening."""
    standing = happening.standing
    campaign, person = standing.campaign, book.person(standing)
    _, sender = mailbox(book.account, standing.lead)
    common = {
        "webhook_id": hook.id,
        "webhook_name": hook.name,
        "webhook_url": hook.url,
        "event_type": happening.event,
        "campaign_id": campaign.id,
        "campaign_name": campaign.name,
        "campaign_status": campaign.status,
        "sl_email_lead_id": str(book.account.lead_id(standing.lead)),
        "sl_email_lead_map_id": campaign.map_id(standing.position),
        "sl_lead_email": person.email,
        "from_email": sender,
        "to_email": person.email,
        "to_name": f"{person.first_name} {person.last_name}",
        "event_timestamp": stamp(happening.at),
        "secret_key": hook.secret,
        "app_url": f"https://app.smartlead.ai/app/email-campaign/{campaign.id}/analytics",
        "metadata": {"webhook_created_at": stamp(hook.created)},
        "client_id": None,
    }
    if happening.event == "LEAD_CATEGORY_UPDATED":
        return common | _category_part(book, happening)
    return common | _reply_part(book, happening)


def _reply_part(book: Book, happening: Happening) -> dict[str, Any]:
    reply, person = happening.reply, book.person(happening.standing)
    if reply is None:
        return {}
    text = plain_text(reply.body)
    first = f"{person.first_name} {person.last_name}"
    return {
        "stats_id": reply.stats_id,
        "cc_emails": [],
        "subject": reply.subject,
        "sequence_number": happening.sent.step if happening.sent else None,
        "sent_message": _mail(happening.sent),
        "reply_message": _mail(reply),
        "reply_body": reply.body,
        "preview_text": text[:120],
        "time_replied": stamp(reply.at),
        "ui_master_inbox_link": "https://app.smartlead.ai/app/master-inbox",
        "description": f"{first} replied to a mail of {happening.standing.campaign.name}",
        "leadCorrespondence": {
            "targetLeadEmail": person.email,
            "replyReceivedFrom": person.email,
            "repliedCompanyDomain": person.company.domain,
        },
    }


def _category_part(book: Book, happening: Happening) -> dict[str, Any]:
    standing = happening.standing
    thread = list(book.thread(standing))
    replies = [message for message in thread if message.reply]
    names = shapes.CATEGORY_NAMES
    return {
        "lead_category": {
            "old_id": happening.old_category,
            "old_name": names.get(happening.old_category),
            "new_id": standing.category,
            "new_name": names.get(standing.category),
        },
        "lead_data": shapes.lead(
            book.account,
            standing.lead,
            book.person(standing),
            unsubscribed=shapes.unsubscribed(standing),
        ),
        "history": [history_entry(message) for message in thread],
        "last_reply": history_entry(replies[-1]) if replies else None,
    }


def _mail(message: Message | None) -> dict[str, Any] | None:
    if message is None:
        return None
    return {
        "message_id": message.message_id,
        "html": message.body,
        "text": plain_text(message.body),
        "time": stamp(message.at),
    }
