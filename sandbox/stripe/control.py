"""/stripe/_control/: the strings behind the scenery, for tests and for people who try things.

GET  /                     counters by operation, objects by kind, timers, the clock
POST /reset                forget everything (objects, keys, deliveries, faults, rules, the clock)
POST /clock                {"advance": seconds} or {"to": unix time}: lets time pass, in order
GET  /faults               what will go wrong; POST one or a list of faults (see faults.py),
                           DELETE to end them
POST /settings             {"dunning_end": "cancel" | "unpaid" | "past_due"}
GET  /events[?type=]       events, newest first
POST /events/ID/send       deliver once more: {"copies": n, "forgery": "signature" | "old" |
                           "future" | "secret" | "missing"}
GET  /deliveries[?state=]  every delivery with its attempts and last answer
POST /deliveries/now       send all that is pending, whenever it is due; answers what came of it
POST /deliveries/take      hand over what is pending ({url, headers, body}) and count it as
                           delivered: for a receiver that is not listening
POST /deliveries/pause     {"paused": true} holds all sending until {"paused": false}
GET  /webhooks/rules       rules for deliveries to come; POST one or a list of
                           {"action": "drop" | "delay" | "duplicate" | "reorder" | "forge",
                           "types": "invoice.*", "times": n, "seconds": s, "copies": n,
                           "forgery": ...}; DELETE to end them
POST /actions/3ds          {"intent": ID, "passed": bool}: the payer answers the bank
GET  /violations           what broke the contract so far (only with --contract): each begins with
                           "request:" (the caller's fault, answered with 4xx) or "answer:" (ours);
                           DELETE to clear
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.stripe import clock, deliveries, faults, taxes
from sandbox.stripe.api import Api
from sandbox.stripe.context import Tx, public
from sandbox.stripe.dispatcher import Dispatcher
from sandbox.stripe.resources import intents, setup_intents, webhook_endpoints

ACTIONS = ("drop", "delay", "duplicate", "reorder", "forge")
Endpoint = Callable[[Request], Awaitable[JSONResponse]]


class BadRequest(Exception):
    """The control was asked for something it doesn't have."""


@dataclass
class Control:
    """The control endpoints of one sandbox."""

    api: Api
    dispatcher: Dispatcher

    def routes(self) -> list[Route]:
        table: list[tuple[str, str, Endpoint]] = [
            ("GET", "/", self.state),
            ("POST", "/reset", self.reset),
            ("POST", "/clock", self.clock),
            ("GET", "/faults", self.faults),
            ("POST", "/faults", self.set_faults),
            ("DELETE", "/faults", self.clear_faults),
            ("POST", "/settings", self.settings),
            ("GET", "/events", self.events),
            ("POST", "/events/{id}/send", self.send_event),
            ("GET", "/deliveries", self.deliveries),
            ("POST", "/deliveries/now", self.deliver_now),
            ("POST", "/deliveries/take", self.take),
            ("POST", "/deliveries/pause", self.pause),
            ("GET", "/webhooks/rules", self.rules),
            ("POST", "/webhooks/rules", self.set_rules),
            ("DELETE", "/webhooks/rules", self.clear_rules),
            ("POST", "/actions/3ds", self.authenticate),
            ("GET", "/violations", self.violations),
            ("DELETE", "/violations", self.clear_violations),
        ]
        return [Route(path, _guarded(run), methods=[method]) for method, path, run in table]

    async def state(self, request: Request) -> JSONResponse:
        store = self.api.store
        kinds = store.all(
            "SELECT kind, count(*) FROM objects GROUP BY kind UNION ALL"
            " SELECT 'billing.meter_event', count(*) FROM usage HAVING count(*) > 0 ORDER BY 1"
        )
        states = store.all("SELECT state, count(*) FROM deliveries GROUP BY state")
        timers = store.one("SELECT count(*), min(at) FROM timers")
        count, following = timers or (0, None)
        return JSONResponse(
            {
                "now": clock.now(store),
                "clock_offset": store.meta("clock_offset", 0),
                "requests": self.api.counters,
                "objects": dict(kinds),
                "deliveries": dict(states),
                "timers": {"count": count, "next": following},
            }
        )

    async def reset(self, request: Request) -> JSONResponse:
        with self.api.store.transaction():
            self.api.store.clear()
            webhook_endpoints.ensure_default(self._tx())
            taxes.ensure_rates(self._tx())
        self.api.counters.clear()
        self._forget_violations()
        return JSONResponse({"reset": True})

    async def clock(self, request: Request) -> JSONResponse:
        sent = await _json(request)
        store = self.api.store
        seconds = sent["to"] - clock.now(store) if "to" in sent else sent.get("advance")
        if not isinstance(seconds, int) or seconds < 0:
            raise BadRequest('send {"advance": seconds} or {"to": unix time}, never backwards')
        ran = clock.advance(store, self.api.config, seconds)
        self.dispatcher.wake()
        return JSONResponse({"now": clock.now(store), "ran": ran})

    async def faults(self, request: Request) -> JSONResponse:
        return JSONResponse(self.api.store.meta("faults", []))

    async def set_faults(self, request: Request) -> JSONResponse:
        added = _listed(await _json(request))
        for fault in added:
            problem = faults.check(fault)
            if problem:
                raise BadRequest(problem)
        return self._extend("faults", added)

    async def clear_faults(self, request: Request) -> JSONResponse:
        return self._replace("faults", [])

    async def settings(self, request: Request) -> JSONResponse:
        sent = await _json(request)
        if sent.get("dunning_end") not in ("cancel", "unpaid", "past_due"):
            raise BadRequest("dunning_end must be cancel, unpaid or past_due")
        return self._replace("dunning_end", sent["dunning_end"])

    async def events(self, request: Request) -> JSONResponse:
        kind = request.query_params.get("type")
        found = self.api.store.select("event", **({"type": kind} if kind else {}))
        return JSONResponse(public(found[::-1]))

    async def send_event(self, request: Request) -> JSONResponse:
        sent = await _json(request)
        event, forgery = request.path_params["id"], sent.get("forgery")
        if self.api.store.find(event, "event") is None:
            raise BadRequest(f"no event {event}")
        if forgery is not None and forgery not in deliveries.FORGERIES:
            raise BadRequest(f"forgery must be one of {', '.join(deliveries.FORGERIES)}")
        copies = int(sent.get("copies", 1))
        with self.api.store.transaction():
            deliveries.send_again(self.api.store, event, forgery=forgery, copies=copies)
        self.dispatcher.wake()
        return JSONResponse({"queued": copies})

    async def deliveries(self, request: Request) -> JSONResponse:
        names = (
            "seq",
            "event",
            "type",
            "url",
            "state",
            "attempts",
            "status",
            "error",
            "forgery",
            "due",
        )
        sql = """SELECT d.seq, d.event, json_extract(e.body, '$.type'),
                 json_extract(w.body, '$.url'), d.state, d.attempts, d.status, d.error, d.forgery,
                 d.due FROM deliveries d JOIN objects e ON e.id = d.event
                 LEFT JOIN objects w ON w.id = d.endpoint ORDER BY d.seq"""
        rows = [dict(zip(names, row, strict=True)) for row in self.api.store.all(sql)]
        state = request.query_params.get("state")
        return JSONResponse([row for row in rows if state in (None, row["state"])])

    async def deliver_now(self, request: Request) -> JSONResponse:
        return JSONResponse(await self.dispatcher.deliver_all())

    async def take(self, request: Request) -> JSONResponse:
        store = self.api.store
        with store.transaction():
            taken = deliveries.due(store, float("inf"), limit=10_000)
            for delivery in taken:
                deliveries.settle(store, delivery, 200, None)
        return JSONResponse(
            [
                {
                    "event": d.event,
                    "type": json.loads(d.body)["type"],
                    "url": d.url,
                    "headers": d.headers,
                    "body": d.body.decode(),
                }
                for d in taken
            ]
        )

    async def pause(self, request: Request) -> JSONResponse:
        sent = await _json(request)
        return self._replace("paused", bool(sent.get("paused", True)))

    async def rules(self, request: Request) -> JSONResponse:
        return JSONResponse(self.api.store.meta("webhook_rules", []))

    async def set_rules(self, request: Request) -> JSONResponse:
        added = _listed(await _json(request))
        for rule in added:
            if rule.get("action") not in ACTIONS:
                raise BadRequest(f"action must be one of {', '.join(ACTIONS)}")
        return self._extend("webhook_rules", added)

    async def clear_rules(self, request: Request) -> JSONResponse:
        return self._replace("webhook_rules", [])

    async def authenticate(self, request: Request) -> JSONResponse:
        sent = await _json(request)
        with self.api.store.transaction():
            intent = self.api.store.find(str(sent.get("intent")))
            if intent is None or intent.get("status") != "requires_action":
                raise BadRequest("intent must name a payment or setup intent that requires action")
            module = intents if intent["object"] == "payment_intent" else setup_intents
            module.authenticate(self._tx(), intent, passed=bool(sent.get("passed", True)))
            status = intent["status"]
        self.dispatcher.wake()
        return JSONResponse({"status": status})

    async def violations(self, request: Request) -> JSONResponse:
        return JSONResponse(self.api.violations or [])

    async def clear_violations(self, request: Request) -> JSONResponse:
        self._forget_violations()
        return JSONResponse([])

    def _tx(self) -> Tx:
        return Tx(self.api.store, self.api.config, clock.now(self.api.store))

    def _forget_violations(self) -> None:
        if self.api.violations is not None:
            self.api.violations.clear()

    def _extend(self, name: str, added: list[Any]) -> JSONResponse:
        return self._replace(name, self.api.store.meta(name, []) + added)

    def _replace(self, name: str, value: Any) -> JSONResponse:
        with self.api.store.transaction():
            self.api.store.set_meta(name, value)
        self.dispatcher.wake()
        return JSONResponse({name: value})


def _guarded(run: Endpoint) -> Endpoint:
    async def endpoint(request: Request) -> JSONResponse:
        try:
            return await run(request)
        except BadRequest as problem:
            return JSONResponse({"error": str(problem)}, 400)

    return endpoint


async def _json(request: Request) -> Any:
    raw = await request.body()
    try:
        return json.loads(raw or b"{}")
    except ValueError as error:
        raise BadRequest("the body must be JSON") from error


def _listed(sent: Any) -> list[dict[str, Any]]:
    rows = sent if isinstance(sent, list) else [sent]
    if not all(isinstance(row, dict) for row in rows):
        raise BadRequest("send one object or a list of them")
    return rows
