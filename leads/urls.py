"""What leads answer outside of a brand: SmartLead's webhook."""

from __future__ import annotations

from django.urls import URLPattern, path

from leads.hooks.door import smartlead_webhook

urlpatterns: list[URLPattern] = [
    path("webhooks/smartlead/<str:token>/", smartlead_webhook, name="smartlead_webhook"),
]
