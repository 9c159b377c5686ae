"""Setting webhooks up at SmartLead: one a campaign, for the connection's address.

The work is the campaigns whose `hook_for` is not the hash of the address: new ones, and all of them
after a rotation. A task goes through them behind the gate, so the brand's limit holds, and gives
the worker back when it has to wait. A worker that dies between the call and the commit finds its
webhook in SmartLead's list; should there be two, an event of both is still one.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import structlog
from django.db.models import F
from django.utils import timezone

from leads import sources
from leads.hooks.address import SETUP, url_of
from leads.hooks.event import number
from leads.models import Campaign, Connection, Hook
from leads.smartlead import client
from leads.smartlead.errors import BadKey, Missing
from leads.smartlead.gate import Gate
from leads.smartlead.gate import of as gate_of
from saas.celery import stopping, wake
from saas.errors import HarborError, Refused, Retryable
from saas.leases import LeaseLost, claim, free, release
from saas.ratelimit import Wait
from saas.tenancy import everyone, scope

log = structlog.get_logger(__name__)

BOX = 10.0
LEASE = 120.0
GIVE_UP = 3  # tries of one campaign, until somebody presses the button again
OVERDUE = timedelta(seconds=10)
MOST = 200

EVENTS = (
    "EMAIL_SENT", "FIRST_EMAIL_SENT", "EMAIL_OPEN", "EMAIL_LINK_CLICK", "EMAIL_REPLY",
    "EMAIL_BOUNCE", "LEAD_UNSUBSCRIBED", "LEAD_CATEGORY_UPDATED", "CAMPAIGN_STATUS_CHANGED",
)  # fmt: skip
# What every account takes, for one that refuses the others.
USUAL = ("EMAIL_SENT", "EMAIL_OPEN", "EMAIL_LINK_CLICK", "EMAIL_REPLY", "LEAD_UNSUBSCRIBED",
         "LEAD_CATEGORY_UPDATED")  # fmt: skip


def carry_on(brand_id: int) -> None:
    """Set up some of what is wanted, then give the worker back. Safe at any time, any number."""
    hook = _claim(brand_id)
    if hook is None:
        return
    until = time.monotonic() + BOX
    try:
        while time.monotonic() < until and not stopping.is_set():
            campaign = _next(hook)
            if campaign is None:
                _end(hook, None)
                return
            wait = _set_up(hook, campaign)
            if wait is not None:
                _end(hook, wait)
                return
        _end(hook, 0.0)
    except LeaseLost:
        log.info("webhooks.lease_lost", brand=brand_id)


def waiting(hook: Hook) -> Any:
    """Return the campaigns that have yet to be set up; in the brand's scope."""
    campaigns = Campaign.objects.filter(connection_id=hook.connection_id)
    return campaigns.exclude(status="DELETED").exclude(hook_for=hook.token_hash)


def want(brand_id: int) -> None:
    """Set up what is new, if webhooks are ours to set up. In the brand's scope; repeatable."""
    hook = Hook.objects.filter(managed=True, due_at=None).first()
    if hook is not None and waiting(hook).filter(hook_failures__lt=GIVE_UP).exists():
        Hook.objects.filter(pk=hook.pk).update(due_at=timezone.now())
        wake(SETUP, brand_id)


def wake_overdue() -> None:
    """Wake what a lost message or a killed worker left behind. Safe to repeat."""
    with everyone("sweep webhooks"):
        late = Hook.objects.filter(free(), due_at__lt=timezone.now() - OVERDUE)
        for brand_id in late.values_list("brand_id", flat=True)[:MOST]:
            wake(SETUP, brand_id)


def _claim(brand_id: int) -> Hook | None:
    with scope(brand_id):
        ready = Hook.objects.select_related("connection").filter(
            managed=True, due_at__lte=timezone.now(), connection__state=Connection.State.WORKING
        )
        return next(iter(claim(ready, seconds=LEASE)), None)


def _next(hook: Hook) -> Campaign | None:
    with scope(hook.brand_id):
        rows = waiting(hook).filter(hook_failures__lt=GIVE_UP)
        found: Campaign | None = rows.order_by("hook_failures", "id").first()
        return found


def _set_up(hook: Hook, campaign: Campaign) -> float | None:
    """Set one campaign up; return None to go on, or the seconds to wait before."""
    gate = gate_of(hook.connection)
    try:
        known = campaign.hook_id or _found(gate, hook, campaign)
        # Not every answer names the webhook; without its id it couldn't be taken away again.
        saved = _save(gate, hook, campaign, known) or _found(gate, hook, campaign)
    except _Waits as e:
        return e.seconds
    except Retryable as e:
        return max(e.after, 5.0 * 2.0 ** min(hook.attempts, 6))
    except BadKey as e:
        _refuse_key(hook, e)
        raise LeaseLost(hook.pk) from e  # given back: it goes on with a new key
    except Refused as e:
        _failed(hook, campaign, e)
        return None
    with scope(hook.brand_id):
        Campaign.objects.filter(pk=campaign.pk).update(
            hook_id=saved, hook_for=hook.token_hash, hook_failures=0
        )
        Hook.objects.filter(pk=hook.pk).update(attempts=0, last_error="")
    return None


class _Waits(HarborError):
    """No permit now."""

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait.reason)
        self.seconds = wait.seconds


def _call(gate: Gate, fetch: Any) -> Any:
    leave = gate.enter()
    if isinstance(leave, Wait):
        raise _Waits(leave)
    return leave.go(fetch)


def _found(gate: Gate, hook: Hook, campaign: Campaign) -> int | None:
    """Return the webhook of this address that the campaign has already."""
    key, url = hook.connection.api_key, url_of(hook)
    listed = _call(gate, lambda: client.webhooks(key.reveal(), campaign.remote_id))
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict) and each.get("webhook_url") == url:
            return number(each.get("id"))
    return None


def _save(gate: Gate, hook: Hook, campaign: Campaign, known: int | None) -> int | None:
    key, url = hook.connection.api_key, url_of(hook)
    events = USUAL if campaign.hook_failures else EVENTS
    answer = _call(
        gate,
        lambda: client.save_webhook(
            key.reveal(), campaign.remote_id, number=known, url=url, events=events
        ),
    )
    told = answer.get("data", answer) if isinstance(answer, dict) else None
    return number(told.get("id")) if isinstance(told, dict) else None


def _failed(hook: Hook, campaign: Campaign, error: Refused) -> None:
    with scope(hook.brand_id):
        # The webhook may be gone, the campaign not: the next try makes a new one.
        forget = {"hook_id": None} if isinstance(error, Missing) else {}
        Campaign.objects.filter(pk=campaign.pk).update(
            hook_failures=F("hook_failures") + 1, **forget
        )
        Hook.objects.filter(pk=hook.pk).update(last_error=error.message)


def _refuse_key(hook: Hook, error: BadKey) -> None:
    with scope(hook.brand_id):
        refused = sources.key_refused(hook.connection)
        due = None if refused else timezone.now()
        release(hook, due_at=due, last_error=error.message if refused else "")


def _end(hook: Hook, wait: float | None) -> None:
    """Give the hook back: due again in `wait` seconds, or not (None: nothing is left)."""
    with scope(hook.brand_id):
        due = None if wait is None else timezone.now() + timedelta(seconds=wait)
        release(hook, due_at=due)
        if wait is None:
            want(hook.brand_id)  # the address was replaced meanwhile
        else:
            wake(SETUP, hook.brand_id, after=wait)
