"""The admin's pages of the ground floor: jobs, and the journal of decisions."""

from __future__ import annotations

from typing import Any

import auditlog.admin  # noqa: F401 - registers its page first, so that ours can replace it
from auditlog.models import LogEntry
from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.http import HttpRequest

from saas.admin_site import ReadOnlyAdmin
from saas.models import JobRun

MOST_EVENTS = 200


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyAdmin[JobRun]):
    """Jobs write their own trace."""

    list_display = ("name", "started_at", "finished_at", "ok", "detail")
    list_filter = ("name", "ok")
    date_hierarchy = "started_at"


class EventFilter(admin.SimpleListFilter):
    title = "event"
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        names = LogEntry.objects.annotate(event=_event()).order_by("event").values_list("event")
        return [(n, n) for (n,) in names.distinct()[:MOST_EVENTS] if n]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return queryset.filter(additional_data__event=self.value()) if self.value() else queryset


class ByStaffFilter(admin.SimpleListFilter):
    title = "who"
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [("staff", "Staff"), ("customers", "Customers"), ("system", "The system")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        rules: dict[str | None, dict[str, Any]] = {
            "staff": {"actor__is_staff": True},
            "customers": {"actor__is_staff": False},
            "system": {"actor_email": None},
        }
        return queryset.filter(**rules.get(self.value(), {}))


class BrandFilter(admin.SimpleListFilter):
    """Only by address (?brand=7), as links from a brand's page give it."""

    title = "brand"
    parameter_name = "brand"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        wanted = request.GET.get("brand", "")
        return [(wanted, f"Brand {wanted}")] if wanted.isdigit() else []

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        wanted = self.value() or ""
        return queryset.filter(additional_data__brand=int(wanted)) if wanted.isdigit() else queryset


def _event() -> KeyTextTransform:
    return KeyTextTransform("event", "additional_data")


admin.site.unregister(LogEntry)


@admin.register(LogEntry)
class JournalAdmin(ReadOnlyAdmin[LogEntry]):
    """Append-only, by trigger; here to be read."""

    list_display = ("timestamp", "event", "object_repr", "who", "reason", "brand", "remote_addr")
    list_filter = (EventFilter, ByStaffFilter, BrandFilter)
    list_select_related = ("actor", "content_type")
    search_fields = ("object_repr", "actor_email", "cid", "remote_addr")
    date_hierarchy = "timestamp"
    show_full_result_count = False
    fields = (
        *("timestamp", "event", "content_type", "object_pk", "object_repr", "who", "reason"),
        *("brand", "remote_addr", "cid", "changes"),
    )
    readonly_fields = fields

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup in ("event", "who", "brand") or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    @admin.display(description="event")
    def event(self, entry: LogEntry) -> str:
        return str((entry.additional_data or {}).get("event") or entry.get_action_display())

    @admin.display(description="who", ordering="actor_email")
    def who(self, entry: LogEntry) -> str:
        return entry.actor_email or "the system"

    @admin.display(description="reason")
    def reason(self, entry: LogEntry) -> str:
        return str((entry.additional_data or {}).get("reason") or "")

    @admin.display(description="brand")
    def brand(self, entry: LogEntry) -> str:
        return str((entry.additional_data or {}).get("brand") or "")
