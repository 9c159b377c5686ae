"""What leads hold for a brand: for its export and its erasure (accounts.privacy)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection

from accounts import privacy
from leads.files import store
from leads.models import (
    Backfill,
    BulkJob,
    Campaign,
    Connection,
    Delivery,
    Import,
    ImportRejection,
    Lead,
    LeadChange,
    LeadTag,
    Message,
    Note,
    SavedView,
    Tag,
)
from saas.tenancy import current_brand, scope

LEAD_FIELDS = (
    "email", "first_name", "last_name", "company", "phone", "website", "location", "linkedin",
    "company_url", "custom", "unsubscribed", "status", "category", "replied", "joined_at",
    "last_activity_at",
)  # fmt: skip
MESSAGE_FIELDS = (
    "lead_id", "campaign_id", "direction", "sent_at", "sender", "recipient", "subject", "body",
    "step", "opens", "clicks",
)  # fmt: skip

ERASE = """
DELETE FROM leads_lead WHERE brand_id = %(brand)s AND id IN (
  SELECT id FROM leads_lead WHERE brand_id = %(brand)s LIMIT %(batch)s)"""
FORGET = """
DELETE FROM leads_suppression WHERE brand_id = %(brand)s AND digest IN (
  SELECT digest FROM leads_suppression WHERE brand_id = %(brand)s LIMIT %(batch)s)"""
BATCH = 2000


def _by_id(
    model: type[Lead | Message | LeadChange], brand_id: int, fields: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    last = 0
    while True:
        with scope(brand_id):
            rows = model.objects.filter(brand_id=brand_id, id__gt=last).order_by("id")
            found = list(rows.values("id", *fields)[: privacy.PAGE])
        for row in found:
            last = row["id"]
            yield row
        if len(found) < privacy.PAGE:
            return


def _leads(brand_id: int) -> Iterator[dict[str, Any]]:
    yield from _by_id(Lead, brand_id, LEAD_FIELDS)


def _messages(brand_id: int) -> Iterator[dict[str, Any]]:
    yield from _by_id(Message, brand_id, MESSAGE_FIELDS)


def _campaigns(brand_id: int) -> Iterator[dict[str, Any]]:
    yield from privacy.pages(brand_id, Campaign.objects.all, "remote_id", "name", "status")


def _deliveries(brand_id: int) -> Iterator[dict[str, Any]]:
    yield from privacy.pages(
        brand_id, Delivery.objects.all, "type", "received_at", "state", "body", page=100
    )


def _erase_deliveries() -> int:
    batch = Delivery.objects.values_list("pk", flat=True)[:BATCH]
    deleted, _ = Delivery.objects.filter(pk__in=list(batch)).delete()
    return deleted


def _imports(brand_id: int) -> Iterator[dict[str, Any]]:
    yield from privacy.pages(
        brand_id, Import.objects.all, "name", "size", "state", "rows", "leads_new", "created_at",
        "started_at", "ended_at",
    )  # fmt: skip


def _left_out(brand_id: int) -> Iterator[dict[str, Any]]:
    rows = ImportRejection.objects.all
    yield from privacy.pages(brand_id, rows, "job_id", "line", "detail", "cells")


def _erase_imports() -> int:
    """Delete a slice of one import, the file first; the emptied row goes last."""
    row = Import.objects.order_by("id").first()
    if row is None:
        return 0
    if not store.drop_some(row, *store.EVERYTHING):
        row.delete()
    return 1


def _tags(brand_id: int) -> Iterator[dict[str, Any]]:
    yield from privacy.pages(brand_id, Tag.objects.all, "id", "name", "created_at")


def _tagged(brand_id: int) -> Iterator[dict[str, Any]]:
    with scope(brand_id):
        tag_ids = list(Tag.objects.order_by("id").values_list("id", flat=True))
    for tag_id in tag_ids:
        last: int | None = 0
        while last is not None:
            with scope(brand_id):
                rows = LeadTag.objects.filter(brand_id=brand_id, tag_id=tag_id, lead_id__gt=last)
                found = list(
                    rows.order_by("lead_id").values("tag_id", "lead_id", "added_at")[: privacy.PAGE]
                )
            yield from found
            last = found[-1]["lead_id"] if len(found) == privacy.PAGE else None


def _notes(brand_id: int) -> Iterator[dict[str, Any]]:
    fields = ("lead_id", "author__email", "text", "created_at", "edited_at")
    yield from privacy.pages(brand_id, Note.objects.all, *fields)


def _changes(brand_id: int) -> Iterator[dict[str, Any]]:
    fields = ("lead_id", "kind", "category", "tag_id", "at")
    yield from _by_id(LeadChange, brand_id, fields)


def _bulk_jobs(brand_id: int) -> Iterator[dict[str, Any]]:
    fields = ("what", "state", "filters", "label", "seen", "changed", "created_at", "ended_at")
    yield from privacy.pages(brand_id, BulkJob.objects.all, "requested_by__email", *fields)


def _views(brand_id: int) -> Iterator[dict[str, Any]]:
    fields = ("name", "author__email", "team", "query", "created_at")
    yield from privacy.pages(brand_id, SavedView.objects.all, *fields)


def _forget_deleted() -> int:
    """Delete one batch of the hashes of deleted leads."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET, {"brand": current_brand(), "batch": BATCH})
        return int(cursor.rowcount)


def _erase_leads() -> int:
    """Delete one batch of leads; their messages and places go with them inside PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(ERASE, {"brand": current_brand(), "batch": BATCH})
        return int(cursor.rowcount)


def _erase_sources() -> int:
    Backfill.objects.all().delete()
    Campaign.objects.all().delete()
    Connection.objects.all().delete()
    return 0


privacy.register("campaigns", order=20, rows=_campaigns, erase=_erase_sources)
privacy.register(
    "leads", order=21, rows=_leads, noun="leads", count=Lead.objects.count, erase=_erase_leads
)
privacy.register("messages", order=22, rows=_messages, noun="messages", count=Message.objects.count)
privacy.register("smartlead_events", order=23, rows=_deliveries, erase=_erase_deliveries)
privacy.register("imports", order=23, rows=_imports, erase=_erase_imports)
privacy.register("rows_left_out_of_imports", order=24, rows=_left_out)
privacy.register("tags", order=23, rows=_tags)
privacy.register("lead_tags", order=24, rows=_tagged)
privacy.register("notes", order=25, rows=_notes, noun="notes", count=Note.objects.count)
privacy.register("lead_changes", order=26, rows=_changes)
privacy.register("bulk_changes", order=27, rows=_bulk_jobs, erase=_forget_deleted)
privacy.register("saved_views", order=28, rows=_views)
