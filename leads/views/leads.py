"""Working the leads: the list and one lead with its thread."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.models import User
from accounts.requests import BrandRequest
from accounts.roles import Permission, allows, requires
from billing import entitlements
from billing.entitlements import Entitlements
from leads import hits, mail, search, words
from leads.backfill import reach
from leads.forms import FilterForm
from leads.models import Campaign, CampaignLead, Connection, Lead, Message, Tag
from leads.search import AnyKey, Filters, Sort
from leads.statuses import counted
from leads.views.work import lead_or_404
from leads.work import bulk, saved, tags, timeline
from leads.work.timeline import Entry
from saas.charts import grouped


@require_GET
@requires(Permission.VIEW)
def lead_list(request: BrandRequest) -> HttpResponse:
    """Filters, one page by key, and how many there are."""
    brand_id = request.brand.pk
    form = FilterForm(brand_id, request.GET)
    filters = form.filters()
    rights = entitlements.of(brand_id)
    found = hits.hits(brand_id, filters.q)
    page = _page(request, filters, form.order, found)
    carried = tags.of(brand_id, [row.id for row in page.rows]) if form.tags else {}
    deleted, under_way = bulk.standing(brand_id)
    context = {
        "form": form,
        "filters": filters,
        "sort": form.order,
        "query": filters.query(form.order),
        "orders": {sort.value: filters.query(sort) for sort in Sort},
        "at_label": "Added" if form.order == Sort.ADDED else "Last activity",
        "rows": _shown(request.brand.slug, page.rows, form, carried),
        "prev_url": _link(filters, form.order, before=page.before),
        "next_url": _link(filters, form.order, after=page.after),
        "count": _count(rights, filters, page, found, deleted),
        "full": rights.live and not rights.leads_left and bool(page.rows),
        "connection": None if page.rows else Connection.objects.first(),
        "categories": form.categories.items(),
        "tag_names": form.tags,
        "filters_json": json.dumps(filters.params()),
        "request_key": uuid.uuid4(),
        "may_work": allows(request.membership.role, Permission.WORK_LEADS),
        "under_way": under_way,
    }
    return render(request, "leads/list.html", context | _views(request.user, filters, form.order))


def _views(user: User, filters: Filters, sort: Sort) -> dict[str, Any]:
    """Return the saved views as (view, link), and the one that is shown."""
    here = filters.params() | ({"sort": sort.value} if sort != Sort.ACTIVITY else {})
    views = list(saved.visible(user))
    shown = next((view for view in views if view.query == here), None)
    return {"views": [(view, urlencode(view.query)) for view in views], "view": shown}


def _page(
    request: BrandRequest, filters: Filters, sort: Sort, found: hits.Hits | None
) -> search.Page:
    """Cut the page that the URL asks for; the first one when nothing is left beyond its key."""
    after, before = (
        search.parse_key(sort, request.GET.get(name, "")) for name in ("after", "before")
    )
    brand_id = request.brand.pk
    page = search.page(brand_id, filters, sort=sort, after=after, before=before, found=found)
    if (after is not None or before is not None) and not page.rows:
        return search.page(brand_id, filters, sort=sort, found=found)
    return page


def _shown(
    slug: str, rows: list[search.Row], form: FilterForm, carried: dict[int, list[Tag]]
) -> list[dict[str, Any]]:
    """Return each lead with what the list says of it in words, and where its page is."""
    url, _, tail = reverse("leads:detail", args=[slug, 0]).rpartition("0")
    chosen = form.filters().query(form.order)
    tail += f"?{chosen}" if chosen else ""
    names, shown = form.categories, []
    for row in rows:
        label, tone = words.status(row.status)
        said = {
            "lead": row,
            "number": str(row.id),
            "url": f"{url}{row.id}{tail}",
            "status": label,
            "tone": tone,
            "category": None if row.category is None else words.category(row.category, names),
            "at": row.added if form.order == Sort.ADDED else row.at,
            "tags": carried.get(row.id),
        }
        shown.append(said)
    return shown


def _link(filters: Filters, sort: Sort, **key: AnyKey | None) -> str:
    [(name, at)] = key.items()
    chosen = filters.query(sort)
    return f"?{chosen}{'&' if chosen else ''}{urlencode({name: at})}" if at is not None else ""


def _count(
    rights: Entitlements,
    filters: Filters,
    page: search.Page,
    found: hits.Hits | None,
    deleted: int,
) -> str:
    if not filters.any:
        number, exact = max(rights.leads_used - deleted, 0), True
    elif page.before is None and page.after is None:
        number, exact = len(page.rows), True
    else:
        number, exact = search.count(rights.brand_id, filters, found)
    noun = "lead" if number == 1 and exact else "leads"
    return f"{grouped(number)} {noun}" if exact else f"more than {grouped(number)} {noun}"


@require_GET
@requires(Permission.VIEW)
def lead_detail(request: BrandRequest, lead_id: int) -> HttpResponse:
    """Who it is, where it stands, and what happened; with the leads beside it in the list."""
    brand_id = request.brand.pk
    lead = lead_or_404(request, lead_id)
    form = FilterForm(brand_id, request.GET)
    filters = form.filters()
    before = timeline.parse(request.GET.get("until_entry", ""))
    entries, older = timeline.page(brand_id, lead.id, before)
    label, tone = words.status(lead.status)
    names = words.categories()
    previous, following = search.beside(brand_id, filters, form.order, lead)
    context = {
        "lead": lead,
        "status": label,
        "tone": tone,
        "category": None if lead.category is None else words.category(lead.category, names),
        "known": lead.category in names,
        "categories": names.items(),
        "may_work": allows(request.membership.role, Permission.WORK_LEADS),
        "tags": tags.of(brand_id, [lead.id]).get(lead.id, ()),
        "tag_names": form.tags,
        "facts": _facts(lead),
        "places": _places(brand_id, lead),
        "out_of_reach": reach.leaves_out(brand_id, lead.id),
        "thread": _told(entries, names),
        "has_mails": any(entry.kind == "message" for entry in entries),
        "older": older,
        "newest": before is None,
        "query": filters.query(form.order),
        "previous": previous,
        "following": following,
    }
    return render(request, "leads/detail.html", context)


def _told(entries: list[Entry], categories: dict[int, str]) -> list[dict[str, Any]]:
    """Add to each entry what the page says of it: names of campaigns, tags, categories, people."""
    rows = [(entry.kind, entry.row) for entry in entries]
    campaign_ids = {row.campaign_id for kind, row in rows if kind in ("message", "joined")}
    changes = [row for kind, row in rows if kind == "change"]
    names = {
        "campaign": _names(Campaign, "name", campaign_ids),
        "tag": _names(Tag, "name", {row.tag_id for row in changes}),
        "person": {
            user.pk: user.get_full_name()
            for user in User.objects.filter(pk__in={row.actor_id for row in changes})
        },
    }

    def category(number: int | None) -> str:
        return bulk.NO_CATEGORY if number is None else words.category(number, categories)

    def told(kind: str, row: Any) -> dict[str, Any]:
        match kind:
            case "message":
                reply = row.direction == Message.Direction.REPLY
                return {"message": row, "reply": reply, "text": mail.text_of(row.html)}
            case "change":
                return {
                    "tag": names["tag"].get(row.tag_id, "that was deleted since"),
                    "to": category(row.category),
                    "person": names["person"].get(row.actor_id, "Somebody"),
                }
        return {}

    return [
        {
            "kind": entry.kind,
            "row": entry.row,
            "campaign": names["campaign"].get(getattr(entry.row, "campaign_id", None)),
            **told(entry.kind, entry.row),
        }
        for entry in entries
    ]


def _names(model: type[Campaign] | type[Tag], field: str, ids: set[Any]) -> dict[Any, str]:
    return dict(model.objects.filter(pk__in=ids).values_list("pk", field))


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
        found = counted(brand_id)
        cache.set(key, found, timeout=60)
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return [(words.status(code)[0], float(number)) for code, number in ordered]
