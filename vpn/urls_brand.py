"""Pages of vpn under /b/<slug>/vpn/."""

from __future__ import annotations

from django.urls import path

from vpn import views

app_name = "vpn"
urlpatterns = [
    path("", views.device_list, name="devices"),
    path("new/", views.create, name="create"),
    path("<int:pk>/", views.device_page, name="device"),
    path("<int:pk>/status/", views.device_status, name="status"),
    path("<int:pk>/keys/", views.replace_keys, name="replace_keys"),
    path("<int:pk>/revoke/", views.revoke, name="revoke"),
]
