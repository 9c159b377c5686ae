"""Pages of accounts under /b/<slug>/."""

from __future__ import annotations

from django.urls import URLPattern, path

from accounts.views import brand

app_name = "accounts"
urlpatterns: list[URLPattern] = [
    path("", brand.overview_page, name="overview"),
    path("team/", brand.team_page, name="team"),
    path("team/invite/", brand.invite, name="invite"),
    path("team/leave/", brand.leave, name="leave"),
    path("team/invitations/<int:pk>/resend/", brand.invitation_resend, name="invitation_resend"),
    path("team/invitations/<int:pk>/revoke/", brand.invitation_revoke, name="invitation_revoke"),
    path("team/members/<int:pk>/role/", brand.member_role, name="member_role"),
    path("team/members/<int:pk>/remove/", brand.member_remove, name="member_remove"),
    path("settings/", brand.settings_page, name="settings"),
    path("settings/export/", brand.export, name="export"),
    path("settings/delete/", brand.delete, name="delete"),
]
