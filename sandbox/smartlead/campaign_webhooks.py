"""`/campaigns/{id}/webhooks`: how a client sets webhooks up for itself."""

from __future__ import annotations

import json
import secrets
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.smartlead.api import Invalid, campaign_of, not_found
from sandbox.smartlead.registry import Registry, Tenant, Webhook
from sandbox.smartlead.threads import stamp
from sandbox.smartlead.webhooks import EVENTS


def add(
    registry: Registry,
    *,
    key: str,
    url: str,
    events: tuple[str, ...],
    campaign: int | None = None,
    name: str = "",
    secret: str = "",
    signed: bool = False,
) -> Webhook:
    """Registers and saves a webhook. ValueError, with a sentence, for a bad URL or event."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise ValueError('"webhook_url" must be a valid uri')
    unknown = [event for event in events if event not in EVENTS]
    if unknown or not events:
        raise ValueError(f'"event_types" must be some of [{", ".join(EVENTS)}]')
    hook = Webhook(
        id=max((known.id for known in registry.webhooks), default=40_000) + 1,
        key=key,
        campaign=campaign,
        name=name or "Webhook",
        url=url,
        events=events,
        secret=secret or secrets.token_hex(16),
        created=registry.clock.now(),
        signed=signed,
    )
    registry.webhooks.append(hook)
    registry.save()
    return hook


class CampaignWebhooks:
    """GET lists, POST adds or (with an id) replaces, DELETE removes the webhooks of a campaign."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def __call__(self, request: Request, tenant: Tenant) -> Response:
        campaign = campaign_of(request, tenant.book)
        if campaign is None:
            return not_found()
        if request.method == "GET":
            return JSONResponse([_shown(hook) for hook in self._of(tenant, campaign.id)])
        try:
            values = json.loads(await request.body() or b"{}")
        except ValueError:
            raise Invalid("The body is not JSON") from None
        if not isinstance(values, dict):
            raise Invalid('"value" must be of type object')
        self._remove(tenant, campaign.id, values.get("id"))
        if request.method == "DELETE":
            return JSONResponse({"ok": True})
        return JSONResponse({"ok": True, "data": _shown(self._add(tenant, campaign.id, values))})

    def _add(self, tenant: Tenant, campaign: int, values: dict[str, Any]) -> Webhook:
        events = values.get("event_types")
        if not isinstance(events, list):
            raise Invalid('"event_types" must be an array')
        try:
            return add(
                self._registry,
                key=tenant.key,
                url=str(values.get("webhook_url", "")),
                events=tuple(map(str, events)),
                campaign=campaign,
                name=str(values.get("name", "")),
            )
        except ValueError as error:
            raise Invalid(str(error)) from error

    def _of(self, tenant: Tenant, campaign: int) -> list[Webhook]:
        hooks = self._registry.webhooks
        return [hook for hook in hooks if (hook.key, hook.campaign) == (tenant.key, campaign)]

    def _remove(self, tenant: Tenant, campaign: int, number: object) -> None:
        for hook in self._of(tenant, campaign):
            if hook.id == number:
                self._registry.webhooks.remove(hook)
        self._registry.save()


def _shown(hook: Webhook) -> dict[str, Any]:
    return {
        "id": hook.id,
        "name": hook.name,
        "created_at": stamp(hook.created),
        "updated_at": stamp(hook.created),
        "email_campaign_id": hook.campaign,
        "webhook_url": hook.url,
        "event_types": list(hook.events),
        "categories": [],
    }
