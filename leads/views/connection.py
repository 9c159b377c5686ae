"""The connection to SmartLead. Checking a key calls SmartLead, so that view runs unscoped."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.requests import BrandRequest
from accounts.roles import Permission, requires
from billing import entitlements
from leads import connections, words
from leads.backfill import control
from leads.forms import KeyForm, LimitsForm, ScheduleForm
from leads.views import updates
from saas.errors import Refused
from saas.tenancy import scope


@sensitive_post_parameters("api_key")
@require_http_methods(["GET", "POST"])
@requires(Permission.MANAGE_CONNECTIONS, scoped=False)
def connection(request: BrandRequest) -> HttpResponse:
    """Show the connection; a POST proves and saves a key."""
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            connections.connect(
                brand_id=request.brand.pk, api_key=form.cleaned_data["api_key"], actor=request.user
            )
        except Refused as e:
            form.add_error("api_key", e.message)
        else:
            messages.success(request, "SmartLead is connected.")
            return redirect("leads:backfills", slug=request.brand.slug)
    status = 422 if form.errors else 200
    return _page(request, form, status=status)


def _page(request: BrandRequest, form: KeyForm, *, status: int, **refused: Any) -> HttpResponse:
    """Render the page; `refused` holds forms to show with their errors, by name."""
    neighbours = connections.neighbours(request.user, of=request.brand.pk)
    with scope(request.brand):
        context = _context(request, form, neighbours) | refused
        return render(request, "leads/connection.html", context, status=status)


def _context(
    request: BrandRequest, form: KeyForm, neighbours: list[connections.Neighbour]
) -> dict[str, Any]:
    found = connections.current()
    limits = found and LimitsForm(
        neighbours=neighbours,
        initial={"calls_per_minute": found.calls_per_minute, "in_flight": found.in_flight},
    )
    schedule_form = found and ScheduleForm(initial={"sync_every": found.sync_every})
    rights = entitlements.of(request.brand.pk)
    live = control.live()
    return {
        "connection": found,
        "form": form,
        "limits": limits,
        "schedule": schedule_form,
        "updates_line": found and words.updates_line(found, live, timezone.now()),
        "live": live,
        "leads": rights.leads_used,
        "full": found is None and not rights.connections,
        **(updates.card(found) if found else {}),
    }


@require_POST
@requires(Permission.MANAGE_CONNECTIONS, scoped=False)
def limits(request: BrandRequest) -> HttpResponse:
    """Change the calls a minute and at once, and with whom they are shared."""
    brand_id, actor = request.brand.pk, request.user
    neighbours = connections.neighbours(actor, of=brand_id)
    form = LimitsForm(request.POST, neighbours=neighbours)
    if not form.is_valid():
        return _page(request, KeyForm(), status=422, limits=form)
    shares_with = form.cleaned_data.pop("shares_with", None)
    try:
        connections.set_limits(brand_id=brand_id, actor=actor, **form.cleaned_data)
        if neighbours:
            connections.share_limit(brand_id=brand_id, other_id=shares_with, actor=actor)
    except Refused as e:
        messages.error(request, e.message)
    else:
        messages.success(request, "The limits are saved.")
    return redirect("leads:connection", slug=request.brand.slug)


@require_POST
@requires(Permission.MANAGE_CONNECTIONS, scoped=False)
def schedule(request: BrandRequest) -> HttpResponse:
    """Change how often what is new is fetched."""
    form = ScheduleForm(request.POST)
    if not form.is_valid():
        return _page(request, KeyForm(), status=422, schedule=form)
    connections.set_schedule(brand_id=request.brand.pk, actor=request.user, **form.cleaned_data)
    messages.success(request, "The schedule is saved.")
    return redirect("leads:connection", slug=request.brand.slug)


@require_POST
@requires(Permission.MANAGE_CONNECTIONS, scoped=False)
def disconnect(request: BrandRequest) -> HttpResponse:
    """Forget the key; what was fetched stays."""
    farewell = connections.disconnect(brand_id=request.brand.pk, actor=request.user)
    if farewell is None:
        messages.info(request, "SmartLead was not connected, so nothing has changed.")
    else:
        messages.success(request, "SmartLead is disconnected, and its key is deleted.")
    if farewell and farewell.left:
        of = "one campaign" if farewell.left == 1 else f"{farewell.left} campaigns"
        messages.warning(
            request,
            f"We couldn't remove our webhook from {of} at SmartLead. It does nothing any more; you"
            " can delete it there, its name is Harbor.",
        )
    return redirect("leads:connection", slug=request.brand.slug)
