"""Backfills: plan, start, watch, pause, resume, cancel. What calls SmartLead runs unscoped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.requests import BrandRequest
from accounts.roles import Permission, allows, requires
from billing import entitlements
from leads import words
from leads.backfill import control, plan, progress, reach
from leads.models import Backfill, Connection, Cursor, Rejection
from saas.errors import Refused

SHOWN = 20
UPDATES_SHOWN = 6


@require_GET
@requires(Permission.VIEW)
def backfills(request: BrandRequest) -> HttpResponse:
    """The live one, and those before it."""
    connection: Connection | None = Connection.objects.first()
    live = control.live()
    context = {
        "connection": connection,
        "live": _watched(live) if live else None,
        "past": _past(Backfill.Kind.FULL, SHOWN),
        "updates": _past(Backfill.Kind.SYNC, UPDATES_SHOWN),
        "updates_line": connection and words.updates_line(connection, live, timezone.now()),
        "may_run": allows(request.membership.role, Permission.RUN_BACKFILLS),
    }
    return render(request, "leads/backfills.html", context)


@require_POST
@requires(Permission.RUN_BACKFILLS, scoped=False)
def make_plan(request: BrandRequest) -> HttpResponse:
    """Ask SmartLead what there is, and show what fetching it would take."""
    try:
        planned = plan.make(brand_id=request.brand.pk, actor=request.user)
    except Refused as e:
        messages.error(request, e.message)
        page = "leads:connection" if e.code in ("bad_key", "not_connected") else "leads:backfills"
        return redirect(page, slug=request.brand.slug)
    return redirect("leads:backfill", slug=request.brand.slug, backfill_id=planned.pk)


@never_cache
@require_GET
@requires(Permission.VIEW)
def backfill(request: BrandRequest, backfill_id: int) -> HttpResponse:
    """One backfill: its plan before the start, its progress after. htmx fetches the live part."""
    row = Backfill.objects.select_related("connection").filter(pk=backfill_id).first()
    if row is None:
        raise Http404
    context = _watched(row) | {
        "may_run": allows(request.membership.role, Permission.RUN_BACKFILLS),
        "campaigns": _campaigns(row),
        "reach_limited": row.kind == Backfill.Kind.FULL and reach.since(row) is not None,
        "rejections": Rejection.objects.filter(backfill=row).order_by("-id")[:10],
    }
    if row.state == Backfill.State.PLANNED:
        return render(request, "leads/plan.html", context | _admission(request.brand.pk, row))
    template = "leads/live.html" if request.htmx else "leads/backfill.html"
    return render(request, template, context)


def _move(
    action: Callable[..., Backfill],
) -> Callable[[BrandRequest, int], HttpResponse]:
    @require_POST
    @requires(Permission.RUN_BACKFILLS)
    def view(request: BrandRequest, backfill_id: int) -> HttpResponse:
        actor: User = request.user
        try:
            action(brand_id=request.brand.pk, backfill_id=backfill_id, actor=actor)
        except Refused as e:
            if e.code == "missing":
                raise Http404 from e
            messages.error(request, e.message)
            if e.code == "replaced":
                return redirect("leads:backfills", slug=request.brand.slug)
        return redirect("leads:backfill", slug=request.brand.slug, backfill_id=backfill_id)

    return view


start, pause, resume, cancel = map(
    _move, (control.start, control.pause, control.resume, control.cancel)
)


def _watched(row: Backfill) -> dict[str, Any]:
    now = timezone.now()
    return {
        "backfill": row,
        "tone": words.TONES[Backfill.State(row.state)],
        "bar_tone": words.BAR_TONES.get(Backfill.State(row.state), ""),
        "now": words.now_line(row, now),
        "progress": progress.of(row, now),
        "chart": progress.chart(row, now),
        "took": ((row.ended_at or now) - row.started_at) if row.started_at else None,
    }


def _past(kind: Backfill.Kind, most: int) -> list[dict[str, Any]]:
    """Return the newest that have ended."""
    rows = Backfill.objects.filter(kind=kind).exclude(state__in=Backfill.LIVE)
    return [_listed(row) for row in rows.order_by("-id")[:most]]


def _listed(row: Backfill) -> dict[str, Any]:
    took = row.ended_at - row.started_at if row.ended_at and row.started_at else None
    return {"backfill": row, "tone": words.TONES[Backfill.State(row.state)], "took": took}


def _admission(brand_id: int, row: Backfill) -> dict[str, Any]:
    """What the brand's plan lets in of what was found, and how many leads are too old for it."""
    rights = entitlements.of(brand_id)
    fetched = min(row.planned_leads, rights.leads_left)
    active = None if rights.history_days is None else _sizes(row, Cursor.Kind.ACTIVE)
    price = plan.cost(
        _sizes(row, Cursor.Kind.LEADS),
        calls_per_minute=row.connection.calls_per_minute,
        fetched=row.planned_leads,
        active=active or None,  # no cursors: the plan had no limit when it was asked
    )
    return {
        "rights": rights,
        "fits": row.planned_leads <= rights.leads_left,
        "room": fetched,
        "price": price,
        "older": row.planned_leads - price.message_calls,
    }


def _sizes(row: Backfill, kind: Cursor.Kind) -> list[int]:
    cursors = Cursor.objects.filter(backfill=row, kind=kind)
    known = {cursor.campaign_id: cursor.total for cursor in cursors if cursor.total is not None}
    return plan.sizes_of(known, len(cursors))


def _campaigns(row: Backfill) -> list[Cursor]:
    cursors = Cursor.objects.filter(backfill=row, kind__in=progress.READING)
    return list(cursors.select_related("campaign").order_by("campaign__name", "kind")[:200])
