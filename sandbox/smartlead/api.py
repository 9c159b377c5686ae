"""The endpoints, behind the gate that SmartLead has: Cloudflare, the key, the rate limit, then
(here) faults.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from itertools import islice

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sandbox.smartlead import shapes
from sandbox.smartlead.account import Campaign
from sandbox.smartlead.book import EMAIL_STATUSES, Book, Wanted
from sandbox.smartlead.faults import after, instead, page_of, too_many
from sandbox.smartlead.limits import Meter
from sandbox.smartlead.registry import Registry, Tenant
from sandbox.smartlead.statistics import Statistics
from sandbox.smartlead.threads import history_entry, mailbox

Endpoint = Callable[[Request, Tenant], Awaitable[Response]]
STATUSES = ("STARTED", "INPROGRESS", "COMPLETED", "PAUSED", "STOPPED", "BLOCKED")
MAX_PAGE = 100
MAX_ALL_PAGE = 1000
_SCRIPTED = re.compile(r"(python[-/]|python-urllib|aiohttp|$)", re.IGNORECASE)
_CSV_BATCH = 250


class Invalid(Exception):
    """A query that SmartLead's validation refuses."""


def guarded(
    registry: Registry, name: str, endpoint: Endpoint
) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint behind the gate.

    What is refused at the limit is answered 429 and not counted as a call of it.
    """

    async def answer(request: Request) -> Response:
        if _SCRIPTED.match(request.headers.get("user-agent", "")):
            return page_of(403, "Access denied")
        key = request.query_params.get("api_key", "")
        tenant = registry.tenant(key)
        if tenant is None:
            return JSONResponse({"message": "Invalid API Key"}, status_code=401)
        now = registry.clock.now()
        refusal = tenant.meter.enter(now)
        if refusal is not None:
            refused = too_many(refusal.retry_after, refusal.reason)
            refused.headers.update(tenant.meter.headers(now))
            return refused
        try:
            response = await _admitted(registry, name, endpoint, request, tenant)
            response.headers.update(tenant.meter.headers(now))
        except BaseException:
            tenant.meter.leave()
            raise
        return _UntilSent(response, tenant.meter)

    return answer


class _UntilSent(Response):
    """An answer whose call is in flight until its last byte is sent, as a long export is."""

    def __init__(self, answer: Response, meter: Meter) -> None:
        super().__init__()
        self._answer, self._meter = answer, meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        finally:
            self._meter.leave()


async def _admitted(
    registry: Registry, name: str, endpoint: Endpoint, request: Request, tenant: Tenant
) -> Response:
    meter = tenant.meter
    meter.calls[name] += 1
    fault = registry.faults.strike(request.url.path, tenant.key)
    if meter.options.latency:
        await asyncio.sleep(meter.options.latency)
    if fault is not None:
        meter.faults[fault.kind] += 1
        early = await instead(fault)
        if early is not None:
            return early
    response = await _validated(endpoint, request, tenant)
    return after(fault, response) if fault is not None else response


async def _validated(endpoint: Endpoint, request: Request, tenant: Tenant) -> Response:
    try:
        return await endpoint(request, tenant)
    except Invalid as error:
        return JSONResponse(
            {"error": "Bad Request", "message": str(error), "validation": {}}, status_code=400
        )


def routes(registry: Registry) -> list[Route]:
    table: tuple[tuple[str, str, Endpoint], ...] = (
        ("/campaigns", "campaigns", list_campaigns),
        ("/campaigns/{campaign}", "campaign", one_campaign),
        ("/campaigns/{campaign}/leads", "leads", campaign_leads),
        ("/campaigns/{campaign}/leads-export", "export", leads_export),
        ("/campaigns/{campaign}/leads/{lead}/message-history", "history", message_history),
        ("/campaigns/{campaign}/statistics", "statistics", statistics),
        ("/leads/all", "all", all_leads),
        ("/leads/fetch-categories", "categories", fetch_categories),
        ("/leads/", "lead", lead_by_email),
        ("/leads", "lead", lead_by_email),
    )
    return [Route(path, guarded(registry, name, endpoint)) for path, name, endpoint in table]


async def list_campaigns(request: Request, tenant: Tenant) -> Response:
    tags = request.query_params.get("include_tags") == "true"
    if request.query_params.get("client_id"):
        return JSONResponse([])
    account = tenant.book.account
    return JSONResponse(
        [shapes.campaign(account, item, tags=tags) for item in tenant.book.campaigns()]
    )


async def one_campaign(request: Request, tenant: Tenant) -> Response:
    item = campaign_of(request, tenant.book)
    if item is None:
        return not_found()
    return JSONResponse(shapes.campaign(tenant.book.account, item, tags=False))


async def campaign_leads(request: Request, tenant: Tenant) -> Response:
    query = request.query_params
    offset, limit = _whole(query, "offset", 0), _whole(query, "limit", 100, most=MAX_PAGE, least=1)
    wanted = _wanted(query)
    item = campaign_of(request, tenant.book)
    if item is None:
        return not_found()
    rows = tenant.book.rows(item, wanted)
    data = [
        shapes.lead_row(tenant.book, tenant.book.standing(item, p))
        for p in rows.page(offset, limit)
    ]
    return JSONResponse(
        {"total_leads": str(len(rows)), "offset": offset, "limit": limit, "data": data}
    )


async def leads_export(request: Request, tenant: Tenant) -> Response:
    item = campaign_of(request, tenant.book)
    if item is None:
        return not_found()
    name = f'attachment; filename="campaign-{item.id}-leads.csv"'
    return StreamingResponse(
        _csv(tenant.book, item), media_type="text/csv", headers={"Content-Disposition": name}
    )


async def _csv(book: Book, item: Campaign) -> AsyncIterator[str]:
    rows = book.rows(item, Wanted())
    positions = iter(rows.page(0, len(rows)))
    yield _lines([shapes.EXPORT_COLUMNS])
    while batch := list(islice(positions, _CSV_BATCH)):
        yield _lines(shapes.export_row(book, book.standing(item, position)) for position in batch)
        await asyncio.sleep(0)  # other calls get their turn during a long export


def _lines(rows: object) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)  # type: ignore[arg-type]
    return buffer.getvalue()


async def message_history(request: Request, tenant: Tenant) -> Response:
    book = tenant.book
    since = _moment(request.query_params, "event_time_gt")
    item = campaign_of(request, book)
    if item is None:
        return not_found()
    number = book.account.lead_number(_path_number(request, "lead"))
    position = None if number is None else item.position_of(number)
    if number is None or position is None:
        return JSONResponse({})
    standing = book.standing(item, position)
    plain = request.query_params.get("show_plain_text_response") == "true"
    thread = [
        m
        for m in book.thread(standing)
        if since is None or round(m.at * 1000) > round(since * 1000)
    ]
    return JSONResponse(
        {
            "history": [history_entry(message, plain=plain) for message in thread],
            "from": mailbox(book.account, number)[1],
            "to": book.person(standing).email,
        }
    )


async def statistics(request: Request, tenant: Tenant) -> Response:
    query = request.query_params
    offset, limit = _whole(query, "offset", 0), _whole(query, "limit", 100, most=1000, least=1)
    state = query.get("email_status")
    if state not in (None, *Statistics.STATES):
        raise Invalid(f'"email_status" must be one of [{", ".join(Statistics.STATES)}]')
    number = query.get("email_sequence_number")
    step = None if number is None else _whole(query, "email_sequence_number", 1, least=1)
    after_, before = _moment(query, "sent_time_start_date"), _moment(query, "sent_time_end_date")
    item = campaign_of(request, tenant.book)
    if item is None:
        return not_found()
    found = Statistics(tenant.book, item, state=state, step=step, start=after_, end=before)
    data = found.page(offset, limit)
    return JSONResponse(
        {"total_stats": str(len(found)), "data": data, "offset": offset, "limit": limit}
    )


async def all_leads(request: Request, tenant: Tenant) -> Response:
    query, account = request.query_params, tenant.book.account
    unknown = set(query) - {"api_key", "limit", "lastSeenLeadId"}
    if unknown:
        raise Invalid(f'"{sorted(unknown)[0]}" is not allowed')
    limit = _whole(query, "limit", 100, most=MAX_ALL_PAGE, least=1)
    newest = account.leads
    if "lastSeenLeadId" in query:
        seen = _whole(query, "lastSeenLeadId", 0)
        newest = account.leads_below(seen)
    numbers = range(newest - 1, max(newest - limit, 0) - 1, -1)
    leads = [shapes.account_lead(tenant.book, number) for number in numbers]
    last = leads[-1]["id"] if leads else None
    data = {"leads": leads, "lastSeenLeadId": last, "totalCount": account.leads}
    return JSONResponse({"ok": True, "data": data})


async def lead_by_email(request: Request, tenant: Tenant) -> Response:
    email = request.query_params.get("email", "").strip()
    if not email:
        raise Invalid('"email" is required')
    number = tenant.book.account.crowd.find(email)
    if number is None or number >= tenant.book.account.leads:
        return JSONResponse({})
    return JSONResponse(shapes.found_lead(tenant.book, number))


async def fetch_categories(request: Request, tenant: Tenant) -> Response:
    return JSONResponse(shapes.categories())


def not_found() -> Response:
    """What a deleted or foreign campaign is answered with."""
    return JSONResponse({"error": "Campaign not found"}, status_code=404)


def _path_number(request: Request, name: str) -> int:
    text = request.path_params[name]
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Invalid(f'"{name}_id" must be a number')
    return int(text)


def campaign_of(request: Request, book: Book) -> Campaign | None:
    """The campaign in the path; None when it doesn't exist, or no more. Raises Invalid."""
    return book.campaign(_path_number(request, "campaign"))


def _whole(
    query: Mapping[str, str], name: str, default: int, *, most: int = 10**18, least: int = 0
) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise Invalid(f'"{name}" must be a number')
    value = int(text)
    if value > most:
        raise Invalid(f'"{name}" must be less than or equal to {most}')
    if value < least:
        raise Invalid(f'"{name}" must be greater than or equal to {least}')
    return value


def _moment(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f'"{name}" must be in ISO 8601 date format') from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _wanted(query: Mapping[str, str]) -> Wanted:
    status, state = query.get("status"), query.get("emailStatus")
    if status not in (None, *STATUSES):
        raise Invalid(f'"status" must be one of [{", ".join(STATUSES)}]')
    if state not in (None, *EMAIL_STATUSES):
        raise Invalid(f'"emailStatus" must be one of [{", ".join(EMAIL_STATUSES)}]')
    category = query.get("lead_category_id")
    return Wanted(
        status=status,
        category=None if category is None else _whole(query, "lead_category_id", 0, least=1),
        email_status=state,
        created_after=_moment(query, "created_at_gt"),
        sent_after=_moment(query, "last_sent_time_gt"),
        event_after=_moment(query, "event_time_gt"),
    )
