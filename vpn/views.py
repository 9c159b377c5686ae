"""Pages of the VPN. Members see their own devices, managers everyone's; any other is 404."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.requests import BrandRequest
from accounts.roles import Permission, allows, requires
from saas.errors import Refused
from vpn import devices, selectors
from vpn.config import Configuration
from vpn.forms import DeviceForm
from vpn.models import Device

STATUSES = (
    ("", "In use"),
    ("connected", "Connected"),
    ("suspended", "Suspended"),
    ("revoked", "Revoked"),
    ("all", "All devices"),
)


@requires(Permission.VIEW)
@require_GET
def device_list(request: BrandRequest) -> HttpResponse:
    now = timezone.now()
    mine = selectors.visible(request.user, sees_all=_may(request, Permission.MANAGE_VPN))
    q, status = request.GET.get("q", "").strip()[:80], request.GET.get("status", "")
    page = selectors.page(
        selectors.filtered(mine, q=q, status=status, now=now),
        now=now,
        before=_number(request.GET, "before"),
        after=_number(request.GET, "after"),
    )
    context = _abilities(request) | {
        "page": page,
        "q": q,
        "status": status,
        "narrowed": bool(q or status),
        "newer": _page_url(request, before=page.before),
        "older": _page_url(request, after=page.after),
        "room": selectors.room(request.brand.pk),
        "here": request.get_full_path(),
        "statuses": STATUSES,
    }
    if request.htmx:
        return TemplateResponse(request, "vpn/device_rows.html", context)
    context |= {"month": selectors.used_this_month(mine, now), **_usage(mine, now)}
    return TemplateResponse(request, "vpn/devices.html", context)


@requires(Permission.USE_VPN)
@require_http_methods(["GET", "POST"])
def create(request: BrandRequest) -> HttpResponse:
    servers = selectors.open_servers()
    form = DeviceForm(request.POST or None, servers=servers)
    if request.method == "POST" and form.is_valid():
        try:
            fresh = devices.create(
                brand_id=request.brand.pk,
                owner=request.user,
                actor=request.user,
                server_id=form.cleaned_data["server"].pk,
                name=form.cleaned_data["name"],
                request_key=form.cleaned_data["request_key"],
            )
        except devices.AlreadyMade as repeat:
            return _shown_before(request, repeat.device)
        except Refused as refusal:
            form.add_error("name" if "name" in refusal.code else None, refusal.message)
        else:
            return _show_once(request, fresh)
    room = selectors.room(request.brand.pk)
    context = {"form": form, "room": room, "servers": servers, "may_pay": _may_pay(request)}
    status = 422 if form.is_bound else 200
    return TemplateResponse(request, "vpn/device_form.html", context, status=status)


@requires(Permission.VIEW)
@require_GET
def device_page(request: BrandRequest, pk: int) -> HttpResponse:
    device, now = _device(request, pk), timezone.now()
    context = _abilities(request) | {
        "row": selectors.row(device, now),
        **_usage(Device.objects.filter(pk=device.pk), now),
        "may_change": device.is_live and _may_change(request, device),
        "key": device.peers.filter(retired_at=None).first(),
    }
    return TemplateResponse(request, "vpn/device.html", context)


@requires(Permission.VIEW)
@require_GET
def device_status(request: BrandRequest, pk: int) -> HttpResponse:
    """The live part of a device's pages."""
    row = selectors.row(_device(request, pk), timezone.now())
    return TemplateResponse(request, "vpn/device_status.html", {"row": row})


@requires(Permission.USE_VPN)
@require_POST
def replace_keys(request: BrandRequest, pk: int) -> HttpResponse:
    device = _changeable(request, pk)
    try:
        fresh = devices.replace_keys(
            device_id=device.pk,
            brand_id=request.brand.pk,
            replaces=_number(request.POST, "replaces") or 0,
            actor=request.user,
        )
    except devices.AlreadyReplaced as repeat:
        again = "The new configuration was shown then. If you lost it, replace the keys again."
        messages.info(request, f"{repeat.message} {again}")
        return redirect("vpn:device", request.brand.slug, device.pk)
    except Refused as refusal:
        messages.error(request, refusal.message)
        return redirect("vpn:device", request.brand.slug, device.pk)
    return _show_once(request, fresh)


@requires(Permission.USE_VPN)
@require_POST
def revoke(request: BrandRequest, pk: int) -> HttpResponse:
    device = _changeable(request, pk)
    devices.revoke(device_id=device.pk, brand_id=request.brand.pk, actor=request.user)
    messages.success(request, f"{device.name} is revoked. It is cut off within a minute.")
    return redirect("vpn:devices", request.brand.slug)


def _usage(rows: QuerySet[Device], now: datetime) -> dict[str, Any]:
    days, unit = selectors.usage_by_day(rows, now)
    hint = f"{unit}, last {selectors.CHART_DAYS} days, UTC" if days else ""
    return {"usage": days, "unit": unit, "usage_hint": hint}


def _show_once(request: BrandRequest, fresh: devices.Fresh) -> HttpResponse:
    """Answer with the configuration: the one response that ever holds the private key."""
    row = selectors.row(fresh.device, timezone.now())
    context = {"row": row, "config": Configuration(fresh)}
    response = TemplateResponse(request, "vpn/device_config.html", context)
    response["Cache-Control"] = "no-store, private"
    return response


def _shown_before(request: BrandRequest, device: Device) -> HttpResponse:
    messages.info(
        request,
        "This device was made already, and its configuration was shown then. "
        "If you didn't save it, replace the keys to get a new one.",
    )
    return redirect("vpn:device", request.brand.slug, device.pk)


def _device(request: BrandRequest, pk: int) -> Device:
    sees_all = _may(request, Permission.MANAGE_VPN)
    device = selectors.visible(request.user, sees_all=sees_all).filter(pk=pk).first()
    if device is None:
        raise Http404
    return device


def _changeable(request: BrandRequest, pk: int) -> Device:
    device = _device(request, pk)
    if not _may_change(request, device):
        raise Http404
    return device


def _may_change(request: BrandRequest, device: Device) -> bool:
    own = device.owner_id == request.user.pk and _may(request, Permission.USE_VPN)
    return own or _may(request, Permission.MANAGE_VPN)


def _abilities(request: BrandRequest) -> dict[str, Any]:
    return {
        "sees_all": _may(request, Permission.MANAGE_VPN),
        "may_create": _may(request, Permission.USE_VPN),
        "may_pay": _may_pay(request),
    }


def _may_pay(request: BrandRequest) -> bool:
    return _may(request, Permission.VIEW_BILLING)


def _may(request: BrandRequest, permission: Permission) -> bool:
    return allows(request.membership.role, permission)


def _number(given: QueryDict, name: str) -> int | None:
    text = given.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _page_url(request: BrandRequest, **place: int | None) -> str:
    if not any(place.values()):
        return ""
    kept = {k: v for k, v in request.GET.items() if k in ("q", "status") and v}
    return f"?{urlencode(kept | place)}"
