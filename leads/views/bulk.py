"""Changes of many leads: begin one from the list, watch it, cancel it, undo it."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.requests import BrandRequest
from accounts.roles import Permission, allows, requires
from leads.forms import FilterForm
from leads.models import BulkJob
from leads.search import Filters
from leads.views.work import posted_filters
from leads.work import bulk, said
from leads.work.bulk import Wish
from saas.errors import Refused

SHOWN = 50
UNKNOWN = -1  # what no category is


@require_POST
@requires(Permission.WORK_LEADS)
def begin(request: BrandRequest) -> HttpResponse:
    """Begin what was chosen, for the ticked leads or for all of the list's filters."""
    filters, _ = posted_filters(request)
    ticked = None if request.POST.get("which") == "all" else _numbers(request.POST.getlist("lead"))
    category = request.POST.get("category", "")
    wish = Wish(
        what=request.POST.get("what", ""),
        filters=filters,
        ticked=ticked,
        category=(*_numbers([category]), UNKNOWN)[0] if category else None,
        tag=request.POST.get("tag", ""),
    )
    job = bulk.start(
        brand_id=request.brand.pk, wish=wish, request_key=_key(request), actor=request.user
    )
    return redirect("leads:change", slug=request.brand.slug, job_id=job.pk)


@require_GET
@requires(Permission.VIEW)
def changes(request: BrandRequest) -> HttpResponse:
    """The brand's changes of many leads, the newest first."""
    rows = BulkJob.objects.select_related("requested_by").order_by("-id")[:SHOWN]
    return render(request, "leads/changes.html", {"rows": [_shown(row) for row in rows]})


@never_cache
@require_GET
@requires(Permission.VIEW)
def change(request: BrandRequest, job_id: int) -> HttpResponse:
    """One change. While it runs, htmx fetches the live part."""
    row = BulkJob.objects.select_related("requested_by").filter(pk=job_id).first()
    if row is None:
        raise Http404
    form = FilterForm(request.brand.pk, row.filters)
    context = _shown(row) | {
        "chips": form.chips(),
        "query": Filters.of(row.filters).query(),
        "may_work": allows(request.membership.role, Permission.WORK_LEADS),
    }
    template = "leads/change_live.html" if request.htmx else "leads/change.html"
    return render(request, template, context)


@require_POST
@requires(Permission.WORK_LEADS)
def cancel(request: BrandRequest, job_id: int) -> HttpResponse:
    return _move(request, job_id, lambda: bulk.cancel(job_id=job_id, actor=request.user))


@require_POST
@requires(Permission.WORK_LEADS)
def undo(request: BrandRequest, job_id: int) -> HttpResponse:
    brand_id = request.brand.pk
    return _move(
        request, job_id, lambda: bulk.undo(brand_id=brand_id, job_id=job_id, actor=request.user)
    )


def _move(request: BrandRequest, job_id: int, action: Any) -> HttpResponse:
    try:
        action()
    except Refused as e:
        if e.code == "missing":
            raise Http404 from e
        raise
    return redirect("leads:change", slug=request.brand.slug, job_id=job_id)


def _shown(row: BulkJob) -> dict[str, Any]:
    now = timezone.now()
    undoing = row.state in (BulkJob.State.UNDOING, BulkJob.State.UNDONE)
    return {
        "job": row,
        "title": said.title(row),
        "line": said.line(row),
        "tone": said.TONES[BulkJob.State(row.state)],
        "pace": said.pace(row, now),
        "undoable": row.undoable(now),
        "undo_label": said.undo_label(row),
        "done": row.undone if undoing else row.seen,
        "goal": row.changed if undoing else row.total,
    }


def _numbers(texts: list[str]) -> tuple[int, ...]:
    return tuple(int(text) for text in texts if text.isdecimal() and len(text) < 19)


def _key(request: BrandRequest) -> uuid.UUID:
    try:
        return uuid.UUID(request.POST.get("request_key", ""))
    except ValueError:
        return uuid.uuid4()
