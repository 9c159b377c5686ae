"""Pages of accounts outside of brands; login, sign-up and second factors are allauth's."""

from __future__ import annotations

from django.urls import URLPattern, path

from accounts.views import people

urlpatterns: list[URLPattern] = [
    path("home/", people.home, name="home"),
    path("brands/new/", people.brand_new, name="brand_new"),
    path("invitations/<str:token>/", people.invitation, name="invitation"),
    path("accounts/profile/", people.profile, name="profile"),
    path("accounts/profile/export/", people.profile_export, name="profile_export"),
]
