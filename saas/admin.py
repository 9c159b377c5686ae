"""The admin's pages of the ground floor."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from saas.models import JobRun


@admin.register(JobRun)
class JobRunAdmin(admin.ModelAdmin[JobRun]):
    """Read-only: jobs write their own trace."""

    list_display = ("name", "started_at", "finished_at", "ok", "detail")
    list_filter = ("name", "ok")
    date_hierarchy = "started_at"

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: JobRun | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: JobRun | None = None) -> bool:  # noqa: ARG002
        return False
