"""The public pages: what Harbor does and what it costs. No person and no brand."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from billing import catalog
from billing.views import choice


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    return render(request, "landing.html", _offer(request))


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    return render(request, "pricing.html", _offer(request))


def _offer(request: HttpRequest) -> dict[str, Any]:
    return choice(request) | {
        "trial": catalog.plan(catalog.TRIAL),
        "trial_days": catalog.TRIAL_LENGTH.days,
        "trial_open": True,  # the one with a card, as far as we know a stranger
    }
