"""The agent's API; no page of vpn is public."""

from __future__ import annotations

from django.urls import path

from vpn import agent_api

urlpatterns = [
    path("agent/v1/desired", agent_api.desired, name="agent_desired"),
    path("agent/v1/report", agent_api.report, name="agent_report"),
]
