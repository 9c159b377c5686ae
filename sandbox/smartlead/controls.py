"""`/smartlead/_control/…`: accounts, limits, counters, faults, the clock, and leads that change."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control import BadControl, Handler, body_of, controlled, number_of
from sandbox.smartlead import campaign_webhooks, faults, touch
from sandbox.smartlead.account import MAX_CAMPAIGNS, MAX_LEADS, Options
from sandbox.smartlead.registry import Registry, Tenant
from sandbox.smartlead.webhooks import Courier


def routes(registry: Registry, courier: Courier) -> list[Route]:
    controls = Controls(registry, courier)
    table: tuple[tuple[str, Handler, list[str]], ...] = (
        ("/accounts", controls.accounts, ["GET", "POST"]),
        ("/counters", controls.counters, ["GET", "DELETE"]),
        ("/faults", controls.faults, ["GET", "POST", "DELETE"]),
        ("/clock", controls.clock, ["GET", "POST"]),
        ("/touch", controls.touch, ["POST"]),
        ("/webhooks", controls.webhooks, ["GET", "POST", "DELETE"]),
        ("/deliveries", controls.deliveries, ["GET"]),
        ("/reset", controls.reset, ["POST"]),
    )
    return [Route(path, controlled(handler), methods=methods) for path, handler, methods in table]


class Controls:
    """The handlers, over one registry."""

    def __init__(self, registry: Registry, courier: Courier) -> None:
        self.registry = registry
        self.courier = courier
        self.toucher = touch.Toucher(registry, courier)

    async def accounts(self, request: Request) -> Response:
        """GET: the accounts in use.

        POST {key, leads?, campaigns?, calls?, …}: makes one, or changes its limits.
        """
        if request.method == "POST":
            values = await body_of(request)
            key = str(values.pop("key", ""))
            if not 1 <= len(key) <= 200:
                raise BadControl("key must be 1 to 200 characters.")
            self._account(key, values)
            self.registry.save()
        shown = [self._shown(tenant) for tenant in self.registry.tenants.values()]
        return JSONResponse({"accounts": shown})

    async def counters(self, request: Request) -> Response:
        """GET ?key=: one account's counters, without a key those of all and their sums.

        DELETE: back to 0.
        """
        tenants = self._chosen(request)
        if request.method == "DELETE":
            for tenant in tenants:
                tenant.meter.zero()
        if "key" in request.query_params:
            return JSONResponse(tenants[0].meter.report())
        reports = {tenant.key: tenant.meter.report() for tenant in tenants}
        sums = {
            name: sum(r[name] for r in reports.values()) for name in ("allowed", "refused", "over")
        }
        return JSONResponse({**sums, "accounts": reports})

    async def faults(self, request: Request) -> Response:
        """GET: rules and how often each struck. POST: adds one. DELETE: removes all."""
        known = self.registry.faults
        if request.method == "POST":
            known.rules.append(faults.parse(await body_of(request)))
        if request.method == "DELETE":
            known.rules.clear()
        return JSONResponse({"faults": [rule.shown() for rule in known.rules]})

    async def clock(self, request: Request) -> Response:
        """GET: the stand-in's time. POST {advance}: moves it forward by so many seconds."""
        if request.method == "POST":
            seconds = number_of(await body_of(request), "advance", 0)
            if seconds < 0:
                raise BadControl("advance must not be negative.")
            self.registry.clock.advance(seconds)
            self.registry.save()
        clock = self.registry.clock
        return JSONResponse({"now": clock.moment().isoformat(), "offset": clock.offset})

    async def touch(self, request: Request) -> Response:
        """POST {key, what, …}: makes something happen to leads, and sends the webhooks."""
        values = await body_of(request)
        tenant = self._tenant(str(values.get("key", "")))
        return JSONResponse(self.toucher.touch(tenant, touch.parse(values)))

    async def webhooks(self, request: Request) -> Response:
        """GET: all. POST {key, url, events?, campaign?, secret?, signed?}: adds. DELETE: removes
        all.
        """
        if request.method == "POST":
            values = await body_of(request)
            self._tenant(str(values.get("key", "")))
            try:
                campaign_webhooks.add(self.registry, **_webhook(values))
            except ValueError as error:
                raise BadControl(str(error)) from error
        if request.method == "DELETE":
            self.registry.webhooks.clear()
            self.registry.save()
        return JSONResponse({"webhooks": [asdict(hook) for hook in self.registry.webhooks]})

    async def deliveries(self, request: Request) -> Response:
        """GET: the last 1000 attempts, oldest first."""
        return JSONResponse({"deliveries": self.registry.deliveries})

    async def reset(self, request: Request) -> Response:
        """POST: forgets everything that is not in the seed."""
        await self.courier.drop()
        self.registry.reset()
        self.registry.save()
        return JSONResponse({"reset": True})

    def _chosen(self, request: Request) -> list[Tenant]:
        key = request.query_params.get("key")
        if key is None:
            return list(self.registry.tenants.values())
        return [self._tenant(key)]

    def _tenant(self, key: str) -> Tenant:
        tenant = self.registry.tenant(key)
        if tenant is None:
            raise BadControl("There is no account with this key.")
        return tenant

    def _account(self, key: str, values: dict[str, Any]) -> None:
        known = self.registry.tenant(key)
        base = known.meter.options if known else Options(seed="named", leads=100, campaigns=2)
        options = replace(base, **_checked(values))
        if (
            options.leads < 0
            or options.leads > MAX_LEADS
            or not 1 <= options.campaigns <= MAX_CAMPAIGNS
        ):
            raise BadControl(f"leads must be 0 to {MAX_LEADS}, campaigns 1 to {MAX_CAMPAIGNS}.")
        if options.window <= 0 or options.calls < 0:
            raise BadControl("window must be positive and calls not negative.")
        if known is None or _layout(options) != _layout(base):
            self.registry.name(key, options)
            return
        self.registry.named[key] = options
        known.meter.options = options

    def _shown(self, tenant: Tenant) -> dict[str, Any]:
        options = tenant.meter.options
        shown = {item.name: getattr(options, item.name) for item in fields(options)}
        campaigns = [
            {"id": c.id, "name": c.name, "status": c.status, "leads": c.size}
            for c in tenant.book.campaigns()
        ]
        return {
            "key": tenant.key,
            **shown,
            "leads_now": tenant.book.account.leads,
            "campaign_list": campaigns,
        }


def _webhook(values: dict[str, Any]) -> dict[str, Any]:
    """The arguments for a webhook; all campaigns, replies and categories where nothing is said."""
    unknown = sorted(set(values) - {"key", "url", "events", "campaign", "name", "secret", "signed"})
    if unknown:
        raise BadControl(f"{unknown[0]} is unknown.")
    events = values.get("events", ["EMAIL_REPLY", "LEAD_CATEGORY_UPDATED"])
    if not isinstance(events, list):
        raise BadControl("events must be a list.")
    campaign = values.get("campaign")
    return {
        "key": str(values["key"]),
        "url": str(values.get("url", "")),
        "events": tuple(map(str, events)),
        "campaign": None if campaign is None else int(number_of(values, "campaign", 0)),
        "name": str(values.get("name", "")),
        "secret": str(values.get("secret", "")),
        "signed": values.get("signed") is True,
    }


def _layout(options: Options) -> tuple[object, ...]:
    return (
        options.seed,
        options.leads,
        options.campaigns,
        options.duplicates,
        options.overlap,
        options.malformed,
    )


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """The values with the types that Options has; whole numbers where it has whole numbers."""
    kinds = {item.name: str(item.type) for item in fields(Options)}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        kind = kinds.get(name)
        if kind is None:
            raise BadControl(f"{name} is unknown; there are key, {', '.join(kinds)}.")
        if kind == "str":
            good: object = isinstance(value, str) and 1 <= len(value) <= 40
        elif kind == "bool":
            good = isinstance(value, bool)
        else:
            good = not isinstance(value, bool) and isinstance(
                value, int if kind == "int" else int | float
            )
        if not good:
            raise BadControl(f"{name} must be of type {kind}.")
        checked[name] = value
    return checked
