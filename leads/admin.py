"""The admin's pages of leads. The API key has none: nothing here can show or set it.

Lead, CampaignLead and Message have composite keys, which the admin can't edit; staff see their
numbers on the backfill.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import User
from leads.backfill import control
from leads.hooks import inbox
from leads.models import (
    Backfill,
    BulkJob,
    Campaign,
    Connection,
    Cursor,
    Delivery,
    Import,
    Rejection,
)
from leads.smartlead.gate import of as gate_of
from saas import audit
from saas.errors import Refused


class ReadOnly(admin.ModelAdmin[Any]):
    """Rows that services write; staff look at them."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Connection)
class ConnectionAdmin(ReadOnly):
    list_display = (
        "brand", "state", "key_hint", "calls_per_minute", "in_flight", "breaker", "checked_at",
    )  # fmt: skip
    list_filter = ("state",)
    list_select_related = ("brand",)
    search_fields = ("brand__name", "brand__slug")
    exclude = ("api_key",)

    @admin.display(description="breaker")
    def breaker(self, row: Connection) -> str:
        state = gate_of(row).brand.state()
        seconds = f" for {round(state.retry_in)} s" if state.retry_in else ""
        return state.name.replace("_", " ") + seconds


@admin.register(Campaign)
class CampaignAdmin(ReadOnly):
    list_display = ("name", "brand", "status", "remote_id", "started_at")
    list_filter = ("status",)
    list_select_related = ("brand",)
    search_fields = ("name", "brand__name")


@admin.register(Rejection)
class RejectionAdmin(ReadOnly):
    list_display = ("reason", "brand", "source", "detail", "seen", "created_at")
    list_filter = ("reason", "source")
    list_select_related = ("brand",)


@admin.register(BulkJob)
class BulkJobAdmin(ReadOnly):
    list_display = (
        "id", "brand", "what", "state", "total", "seen", "changed", "undone", "requested_by",
        "due_at", "lease_until", "attempts",
    )  # fmt: skip
    list_filter = ("state", "what")
    list_select_related = ("brand", "requested_by")
    search_fields = ("brand__name", "brand__slug")
    exclude = ("leads",)  # up to 10,000 numbers


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = (
        "id", "brand", "type", "state", "attempts", "received_at", "note", "last_error",
    )  # fmt: skip
    list_filter = ("state", "type")
    list_select_related = ("brand",)
    search_fields = ("brand__name", "brand__slug")
    actions = ("retry",)
    show_full_result_count = False

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("leads.change_delivery")

    @admin.action(description="Try again what was given up", permissions=["retry"])
    def retry(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        actor = request.user if isinstance(request.user, User) else None
        parked = list(rows.filter(state=Delivery.State.PARKED))
        for row in parked:
            audit.record("smartlead_event.retried", row, actor=actor)
        count = inbox.retry(row.pk for row in parked)
        self.message_user(request, f"{count} will be tried again.", messages.SUCCESS)


@admin.register(Import)
class ImportAdmin(ReadOnly):
    list_display = (
        "id", "brand", "state", "size", "rows", "done", "leads_new", "left_out", "touched_at",
        "attempts", "last_error",
    )  # fmt: skip
    list_filter = ("state",)
    list_select_related = ("brand",)
    search_fields = ("brand__name", "brand__slug")
    exclude = ("lease_token",)


class CursorInline(admin.TabularInline[Cursor, Backfill]):
    model = Cursor
    template = "admin/rows.html"
    extra = 0
    can_delete = False
    fields = ("campaign", "kind", "state", "position", "total", "failures")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Backfill)
class BackfillAdmin(ReadOnly):
    list_display = (
        "id", "brand", "kind", "state", "phase", "wait", "leads_new", "messages_new", "calls",
        "due_at", "lease_until", "attempts", "last_error",
    )  # fmt: skip
    list_filter = ("kind", "state", "phase", "wait")
    list_select_related = ("brand",)
    search_fields = ("brand__name", "brand__slug")
    inlines = (CursorInline,)
    actions = ("pause", "resume", "cancel")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("leads.change_backfill")

    def _each(self, request: HttpRequest, rows: QuerySet[Backfill], verb: str) -> None:
        done = 0
        actor = request.user if isinstance(request.user, User) else None
        for row in rows:
            try:
                getattr(control, verb)(brand_id=row.brand_id, backfill_id=row.pk, actor=actor)
            except Refused as e:
                self.message_user(request, f"Backfill {row.pk}: {e.message}", messages.WARNING)
            else:
                done += 1
        self.message_user(request, f"{done} done.")

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, rows: QuerySet[Backfill]) -> None:
        self._each(request, rows, "pause")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, rows: QuerySet[Backfill]) -> None:
        self._each(request, rows, "resume")

    @admin.action(description="Cancel for good", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Backfill]) -> None:
        self._each(request, rows, "cancel")
