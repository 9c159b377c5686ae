"""What leads put on a brand's overview, and the first steps of a new brand."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts import overview
from accounts.requests import BrandRequest
from accounts.roles import Permission
from billing import entitlements
from billing.pages import count_use
from leads import words
from leads.backfill import control, progress
from leads.models import Backfill, Connection, Lead
from leads.views.leads import statuses


def _backfill(request: BrandRequest) -> dict[str, Any] | None:  # noqa: ARG001
    row = control.live()
    if row is None or row.state == Backfill.State.PLANNED or row.kind == Backfill.Kind.SYNC:
        return None
    now = timezone.now()
    return {
        "backfill": row,
        "tone": words.TONES[Backfill.State(row.state)],
        "bar_tone": words.BAR_TONES.get(Backfill.State(row.state), ""),
        "now": words.now_line(row, now),
        "progress": progress.of(row, now),
    }


def _leads(request: BrandRequest) -> dict[str, Any] | None:
    rows = Lead.objects.filter(brand_id=request.brand.pk)
    newest = rows.filter(replied=True).order_by("-last_activity_at", "-id")[:5]
    return {
        "total": entitlements.of(request.brand.pk).leads_used,
        "statuses": statuses(request.brand.pk),
        "replies": list(newest),
    }


def _connected(request: BrandRequest) -> bool:  # noqa: ARG001
    return Connection.objects.filter(state=Connection.State.WORKING).exists()


def _fetched(request: BrandRequest) -> bool:  # noqa: ARG001
    return Backfill.objects.exclude(state=Backfill.State.PLANNED).exists()


overview.card(10, "leads/card_backfill.html", _backfill)
count_use(
    "connections",
    lambda _: Connection.objects.exclude(state=Connection.State.DISCONNECTED).count(),
)
count_use("leads", lambda brand_id: Lead.objects.filter(brand_id=brand_id).count())
overview.card(20, "leads/card_leads.html", _leads)
overview.step(
    10,
    "Connect SmartLead",
    "leads:connection",
    _connected,
    permission=Permission.MANAGE_CONNECTIONS,
)
overview.step(
    20,
    "Fetch your leads",
    "leads:backfills",
    _fetched,
    permission=Permission.RUN_BACKFILLS,
)
