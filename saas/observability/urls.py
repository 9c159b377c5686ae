"""Health and metrics."""

from __future__ import annotations

from django.urls import path

from saas.observability import views

urlpatterns = [
    path("health/live", views.live, name="health_live"),
    path("health/ready", views.ready, name="health_ready"),
    path("health/deep", views.deep, name="health_deep"),
    path("metrics", views.prometheus, name="metrics"),
]
