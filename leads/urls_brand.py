"""Pages of leads under /b/<slug>/."""

from __future__ import annotations

from django.urls import path

from leads.views import backfills, connection, files, leads, updates

app_name = "leads"
urlpatterns = [
    path("leads/", leads.lead_list, name="list"),
    path("leads/<int:lead_id>/", leads.lead_detail, name="detail"),
    path("leads/export/", files.leads_csv, name="export"),
    path("leads/import/", files.imports, name="imports"),
    path("leads/import/<int:import_id>/", files.one, name="import"),
    path("leads/import/<int:import_id>/columns/", files.mapping, name="import_columns"),
    path("leads/import/<int:import_id>/start/", files.start, name="import_start"),
    path("leads/import/<int:import_id>/cancel/", files.cancel, name="import_cancel"),
    path("leads/import/<int:import_id>/rejected/", files.rejections, name="import_rejected"),
    path("connection/", connection.connection, name="connection"),
    path("connection/limits/", connection.limits, name="connection_limits"),
    path("connection/schedule/", connection.schedule, name="connection_schedule"),
    path("connection/disconnect/", connection.disconnect, name="disconnect"),
    path("connection/updates/on/", updates.turn_on, name="updates_on"),
    path("connection/updates/setup/", updates.set_up, name="updates_setup"),
    path("connection/updates/secret/", updates.secret, name="updates_secret"),
    path("connection/updates/rotate/", updates.rotate, name="updates_rotate"),
    path("backfills/", backfills.backfills, name="backfills"),
    path("backfills/plan/", backfills.make_plan, name="plan"),
    path("backfills/<int:backfill_id>/", backfills.backfill, name="backfill"),
    path("backfills/<int:backfill_id>/start/", backfills.start, name="start"),
    path("backfills/<int:backfill_id>/pause/", backfills.pause, name="pause"),
    path("backfills/<int:backfill_id>/resume/", backfills.resume, name="resume"),
    path("backfills/<int:backfill_id>/cancel/", backfills.cancel, name="cancel"),
]
