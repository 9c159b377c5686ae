"""The style guide: every piece of the interface in every state. Served under DEBUG only.

The figures are made up here and nowhere else; they never reach a page of a brand.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import sin
from types import SimpleNamespace
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

NOON = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)

ERRORS = ("400", "403", "403_csrf", "404", "429", "500")


class SampleForm(forms.Form):
    name = forms.CharField(help_text="Your colleagues see it.", initial="Northwind Outbound")
    email = forms.EmailField(label="E-mail address")
    role = forms.ChoiceField(
        choices=[("admin", "Admin"), ("member", "Member")], help_text="You can change it later."
    )
    plan = forms.ChoiceField(
        choices=[("starter", "Starter, 10 000 leads"), ("growth", "Growth, 100 000 leads")],
        widget=forms.RadioSelect,
        initial="growth",
    )
    note = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)
    weekly = forms.BooleanField(
        label="Send a summary every week",
        help_text="On Mondays, to you alone.",
        required=False,
        initial=True,
    )


def styleguide(request: HttpRequest) -> HttpResponse:
    """All pieces in the frame of a brand that does not exist; `?toast` shows the toasts too."""
    request.brand = SimpleNamespace(name="Northwind Outbound", slug="northwind")  # type: ignore[attr-defined]
    if "toast" in request.GET:
        messages.success(request, "Your device is ready.")
        messages.error(request, "We couldn't reach SmartLead. Your backfill goes on at 14:32.")
    return render(request, "styleguide.html", {**_forms(), **_figures(), "now": timezone.now()})


def error_page(request: HttpRequest, code: str) -> HttpResponse:
    """The error page of `code` (400 to 500, 403_csrf) as a visitor sees it, with status 200."""
    if code not in ERRORS:
        raise Http404
    return render(request, f"{code}.html")


def _forms() -> dict[str, Any]:
    wrong = SampleForm({"email": "ada@", "role": "owner", "weekly": "on"})
    wrong.add_error(None, "We couldn't save this. Two fields need a second look.")
    return {"form": SampleForm(), "wrong": wrong}


def _figures() -> dict[str, Any]:
    rate = [
        (NOON + timedelta(minutes=i), max(0.0, 2400 + 900 * sin(i / 5) + 260 * sin(i * 2.1)))
        for i in range(60)
    ]
    return {
        "rate": [(at, float(round(value))) for at, value in rate],
        "statuses": [
            ("In progress", 8_431),
            ("Completed", 6_120),
            ("Replied", 1_904),
            ("Bounced", 412),
            ("Unsubscribed", 37),
        ],
        "week": [12, 18, 14, 22, 31, 28, 40],
        "moments": {
            "now": timezone.now(),
            "earlier": timezone.now() - timedelta(minutes=12),
            "yesterday": timezone.now() - timedelta(days=1, hours=2),
        },
        "config": "[Interface]\nAddress = 10.64.0.7/32\n\n[Peer]\nEndpoint = 198.51.100.4:51820",
    }
