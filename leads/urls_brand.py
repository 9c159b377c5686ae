"""Pages of leads under /b/<slug>/."""

from __future__ import annotations

from django.urls import path

from leads.views import backfills, bulk, connection, files, leads, updates, work

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
    path("leads/<int:lead_id>/category/", work.set_category, name="set_category"),
    path("leads/<int:lead_id>/tags/", work.add_tag, name="add_tag"),
    path("leads/<int:lead_id>/tags/<int:tag_id>/remove/", work.remove_tag, name="remove_tag"),
    path("leads/<int:lead_id>/notes/", work.add_note, name="add_note"),
    path("leads/<int:lead_id>/notes/<int:note_id>/", work.edit_note, name="edit_note"),
    path("leads/<int:lead_id>/notes/<int:note_id>/delete/", work.delete_note, name="delete_note"),
    path("leads/tags/", work.tag_list, name="tags"),
    path("leads/tags/<int:tag_id>/rename/", work.rename_tag, name="rename_tag"),
    path("leads/tags/<int:tag_id>/delete/", work.delete_tag, name="delete_tag"),
    path("leads/views/", work.save_view, name="save_view"),
    path("leads/views/<int:view_id>/rename/", work.rename_view, name="rename_view"),
    path("leads/views/<int:view_id>/delete/", work.delete_view, name="delete_view"),
    path("leads/changes/", bulk.changes, name="changes"),
    path("leads/changes/begin/", bulk.begin, name="begin_change"),
    path("leads/changes/<int:job_id>/", bulk.change, name="change"),
    path("leads/changes/<int:job_id>/cancel/", bulk.cancel, name="cancel_change"),
    path("leads/changes/<int:job_id>/undo/", bulk.undo, name="undo_change"),
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
