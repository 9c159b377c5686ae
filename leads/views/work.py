"""What people do with one lead: category, tags, notes; and with the brand's tags and views."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.db.models.functions import Lower
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.access import page_of
from accounts.requests import BrandRequest
from accounts.roles import Permission, allows, requires
from leads import words
from leads.models import BulkJob, Lead, Tag
from leads.search import Filters, Sort
from leads.work import notes, saved, tags
from leads.work.changes import Change, apply
from saas.errors import Refused


def lead_or_404(request: BrandRequest, lead_id: int) -> Lead:
    lead: Lead | None = Lead.objects.filter(brand_id=request.brand.pk, id=lead_id).first()
    if lead is None:
        raise Http404
    return lead


def _back(request: BrandRequest) -> HttpResponse:
    return HttpResponseRedirect(page_of(request))


@require_POST
@requires(Permission.WORK_LEADS)
def set_category(request: BrandRequest, lead_id: int) -> HttpResponse:
    """Set one lead's category; an empty one is "no category"."""
    lead = lead_or_404(request, lead_id)
    chosen = request.POST.get("category", "")
    known = words.categories()
    category = next((number for number in known if str(number) == chosen), None)
    if chosen and category is None:
        raise Refused("no_category", "Choose a category.")
    change = Change(BulkJob.What.CATEGORY, timezone.now(), request.user.pk, category)
    apply(request.brand.pk, [lead.id], change)
    return _back(request)


@require_POST
@requires(Permission.WORK_LEADS)
def add_tag(request: BrandRequest, lead_id: int) -> HttpResponse:
    """Put a tag on one lead; a name that is new makes the tag."""
    lead = lead_or_404(request, lead_id)
    tag = tags.named(request.brand.pk, request.POST.get("name", ""), actor=request.user)
    tags.add(request.brand.pk, lead.id, tag, actor=request.user)
    return _back(request)


@require_POST
@requires(Permission.WORK_LEADS)
def remove_tag(request: BrandRequest, lead_id: int, tag_id: int) -> HttpResponse:
    lead = lead_or_404(request, lead_id)
    tags.remove(request.brand.pk, lead.id, _tag_or_404(tag_id), actor=request.user)
    return _back(request)


@require_POST
@requires(Permission.WORK_LEADS)
def add_note(request: BrandRequest, lead_id: int) -> HttpResponse:
    lead = lead_or_404(request, lead_id)
    notes.add(lead=lead, text=request.POST.get("text", ""), actor=request.user)
    return _back(request)


@require_POST
@requires(Permission.WORK_LEADS)
def edit_note(request: BrandRequest, lead_id: int, note_id: int) -> HttpResponse:
    lead = lead_or_404(request, lead_id)
    text = request.POST.get("text", "")
    notes.edit(lead_id=lead.id, note_id=note_id, text=text, actor=request.user)
    return _back(request)


@require_POST
@requires(Permission.WORK_LEADS)
def delete_note(request: BrandRequest, lead_id: int, note_id: int) -> HttpResponse:
    lead = lead_or_404(request, lead_id)
    notes.delete(lead_id=lead.id, note_id=note_id, actor=request.user)
    return _back(request)


# --- the brand's tags ----------------------------------------------------------------------------


@require_GET
@requires(Permission.VIEW)
def tag_list(request: BrandRequest) -> HttpResponse:
    may_work = allows(request.membership.role, Permission.WORK_LEADS)
    rows = Tag.objects.order_by(Lower("name"))
    return render(request, "leads/tags.html", {"tags": rows, "may_work": may_work})


@require_POST
@requires(Permission.WORK_LEADS)
def rename_tag(request: BrandRequest, tag_id: int) -> HttpResponse:
    name = request.POST.get("name", "")
    tags.rename(request.brand.pk, _tag_or_404(tag_id), name, actor=request.user)
    return redirect("leads:tags", slug=request.brand.slug)


@require_POST
@requires(Permission.WORK_LEADS)
def delete_tag(request: BrandRequest, tag_id: int) -> HttpResponse:
    tag = _tag_or_404(tag_id)
    tags.delete(request.brand.pk, tag, actor=request.user)
    messages.success(request, f"The tag “{tag.name}” is gone.")
    return redirect("leads:tags", slug=request.brand.slug)


def _tag_or_404(tag_id: int) -> Tag:
    tag: Tag | None = Tag.objects.filter(pk=tag_id).first()
    if tag is None:
        raise Http404
    return tag


# --- saved views ---------------------------------------------------------------------------------


@require_POST
@requires(Permission.WORK_LEADS)
def save_view(request: BrandRequest) -> HttpResponse:
    """Save the list's filters and order, and show them under their name."""
    filters, sort = posted_filters(request)
    view = saved.save(
        brand_id=request.brand.pk,
        name=request.POST.get("name", ""),
        filters=filters,
        sort=sort,
        team=request.POST.get("team") == "1",
        actor=request.user,
    )
    messages.success(request, f"Saved as “{view.name}”.")
    url = reverse("leads:list", args=[request.brand.slug])
    return HttpResponseRedirect(f"{url}?{filters.query(sort)}")


@require_POST
@requires(Permission.WORK_LEADS)
def rename_view(request: BrandRequest, view_id: int) -> HttpResponse:
    name = request.POST.get("name", "")
    return _change_view(request, saved.rename, view_id=view_id, name=name)


@require_POST
@requires(Permission.WORK_LEADS)
def delete_view(request: BrandRequest, view_id: int) -> HttpResponse:
    return _change_view(request, saved.delete, view_id=view_id)


def _change_view(request: BrandRequest, action: Any, **given: Any) -> HttpResponse:
    try:
        action(actor=request.user, **given)
    except Refused as e:
        if e.code == "missing":
            raise Http404 from e
        raise
    return _back(request)


def posted_filters(request: BrandRequest) -> tuple[Filters, Sort]:
    """Read the filters that the list was showing. What can't be read is Refused, never taken for
    "no filter": that would mean all leads."""
    try:
        params = json.loads(request.POST.get("filters", ""))
        sort = Sort(request.POST.get("sort") or Sort.ACTIVITY)
        return Filters.of({str(name): str(value) for name, value in params.items()}), sort
    except (ValueError, AttributeError) as e:
        raise Refused("bad_filters", "We couldn't read your filters. Set them again.") from e
