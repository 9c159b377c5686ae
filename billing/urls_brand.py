"""Pages of billing under /b/<slug>/billing/."""

from __future__ import annotations

from django.urls import URLPattern, path

from billing import views

app_name = "billing"
urlpatterns: list[URLPattern] = [
    path("", views.overview, name="overview"),
    path("subscribe/", views.subscribe, name="subscribe"),
    path("checkout/", views.start_checkout, name="checkout"),
    path("change/", views.choose_change, name="change"),
    path("change/preview/", views.preview_change, name="preview"),
    path("change/apply/", views.apply_change, name="apply"),
    path("change/keep/", views.keep_plan, name="keep"),
    path("portal/", views.open_portal, name="portal"),
    path("cancel/", views.cancel, name="cancel"),
    path("resume/", views.resume, name="resume"),
    path("return/", views.returned, name="return"),
    path("return/status/", views.return_status, name="return_status"),
]
