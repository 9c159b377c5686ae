"""Working the leads: the list and one lead with its thread."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from django.db.models.functions import Left
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.requests import BrandRequest
from accounts.roles import Permission, requires
from billing import entitlements
from leads import mail, search, words
from leads.forms import FilterForm
from leads.models import Campaign, CampaignLead, Connection, Lead, Message
from leads.search import AnyKey, Filters, Sort
from saas.charts import grouped

THREAD = 100  # messages of a lead that are shown; the newest ones


@require_GET
@requires(Permission.VIEW)
def lead_list(request: BrandRequest) -> HttpResponse:
    """Filters, one page by key, and how many there are."""
    brand_id = request.brand.pk
    form = FilterForm(brand_id, request.GET)
    filters = form.filters()
    page = _page(request, filters, form.order)
    names = words.categories()
    context = {
        "form": form,
        "filters": filters,
        "sort": form.order,
        "query": filters.query(form.order),
        "rows": [_shown(row, names) for row in page.rows],
        "prev_url": _link(filters, form.order, before=page.before),
        "next_url": _link(filters, form.order, after=page.after),
        "count": _count(brand_id, filters),
        "connection": Connection.objects.first(),
    }
    return render(request, "leads/list.html", context)


def _page(request: BrandRequest, filters: Filters, sort: Sort) -> search.Page:
    """Cut the page that the URL asks for; the first one when nothing is left beyond its key."""
    after, before = (
        search.parse_key(sort, request.GET.get(name, "")) for name in ("after", "before")
    )
    page = search.page(request.brand.pk, filters, sort=sort, after=after, before=before)
    if (after is not None or before is not None) and not page.rows:
        return search.page(request.brand.pk, filters, sort=sort)
    return page


def _shown(row: search.Row, categories: dict[int, str]) -> dict[str, Any]:
    label, tone = words.status(row.status)
    category = None if row.category is None else words.category(row.category, categories)
    return {"lead": row, "status": label, "tone": tone, "category": category}


def _link(filters: Filters, sort: Sort, **key: AnyKey | None) -> str:
    [(name, at)] = key.items()
    chosen = filters.query(sort)
    return f"?{chosen}{'&' if chosen else ''}{urlencode({name: at})}" if at is not None else ""


def _count(brand_id: int, filters: Filters) -> str:
    if not filters.any:
        number, exact = entitlements.of(brand_id).leads_used, True
    else:
        number, exact = search.count(brand_id, filters)
    noun = "lead" if number == 1 and exact else "leads"
    return f"{grouped(number)} {noun}" if exact else f"more than {grouped(number)} {noun}"


@require_GET
@requires(Permission.VIEW)
def lead_detail(request: BrandRequest, lead_id: int) -> HttpResponse:
    """Who it is, where it stands, and what was written."""
    lead = Lead.objects.filter(brand_id=request.brand.pk, id=lead_id).first()
    if lead is None:
        raise Http404
    rows = Message.objects.filter(brand_id=request.brand.pk, lead_id=lead.id)
    readable = rows.defer("body").annotate(html=Left("body", mail.LONGEST + 1))
    newest = list(readable.order_by("-sent_at", "-id")[: THREAD + 1])
    label, tone = words.status(lead.status)
    campaigns = {c.pk: c for c in Campaign.objects.filter(pk__in={m.campaign_id for m in newest})}
    context = {
        "lead": lead,
        "status": label,
        "tone": tone,
        "category": _category(lead.category),
        "facts": _facts(lead),
        "places": _places(request.brand.pk, lead),
        "more": len(newest) > THREAD,
        "thread": [
            {
                "message": message,
                "reply": message.direction == Message.Direction.REPLY,
                "text": mail.text_of(message.html),
                "campaign": campaigns[message.campaign_id].name,
            }
            for message in newest[:THREAD]
        ],
    }
    return render(request, "leads/detail.html", context)


def _category(number: int | None) -> str | None:
    return None if number is None else words.category(number, words.categories())


def _facts(lead: Lead) -> list[tuple[str, str, str]]:
    """Return what is known as (label, value, link); a link only where it is surely one."""
    known = [
        ("Company", lead.company, lead.company_url),
        ("Phone", lead.phone, ""),
        ("Website", lead.website, lead.website),
        ("Location", lead.location, ""),
        ("LinkedIn", lead.linkedin, lead.linkedin),
    ]
    custom = lead.custom if isinstance(lead.custom, dict) else {}
    known += [(_named(name), str(value), "") for name, value in sorted(custom.items())[:40]]
    return [
        (label[:60], value[:500], link if link.startswith(("https://", "http://")) else "")
        for label, value, link in known
        if value not in ("", "None")
    ]


def _named(field: str) -> str:
    """`job_title` as a person would write it; names that are words already stay."""
    return field.replace("_", " ").capitalize() if field.islower() else field


def _places(brand_id: int, lead: Lead) -> list[dict[str, Any]]:
    rows = CampaignLead.objects.filter(brand_id=brand_id, lead_id=lead.id)
    places = list(rows.order_by("-last_activity_at")[:50])
    names = dict(
        Campaign.objects.filter(pk__in=[place.campaign_id for place in places]).values_list(
            "pk", "name"
        )
    )
    return [
        {
            "id": place.campaign_id,
            "name": names[place.campaign_id],
            "status": words.status(place.status)[0],
            "tone": words.status(place.status)[1],
            "at": place.last_activity_at,
        }
        for place in places
    ]


def statuses(brand_id: int) -> list[tuple[str, float]]:
    """Return leads by status for the chart, most first; kept for a minute."""
    key = f"leads:by-status:{brand_id}"
    found: dict[str, int] | None = cache.get(key)
    if found is None:
        found = search.by_status(brand_id)
        cache.set(key, found, timeout=60)
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return [(words.status(code)[0], float(number)) for code, number in ordered]
