"""Pages of vpn under /b/<slug>/."""

from __future__ import annotations

from django.urls import URLPattern

app_name = "vpn"
urlpatterns: list[URLPattern] = []
