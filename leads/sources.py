"""Campaigns and categories as SmartLead lists them, kept in step. Nothing is ever deleted here."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from leads.models import Campaign, Category, Connection
from leads.smartlead.parse import CampaignInfo, CategoryInfo


def save_campaigns(connection: Connection, found: Sequence[CampaignInfo]) -> list[Campaign]:
    """Insert or update the listed campaigns; return them in the order given. Safe to repeat."""
    now = timezone.now()
    unique = {info.remote_id: info for info in found}
    Campaign.objects.bulk_create(
        [
            Campaign(
                connection=connection,
                remote_id=info.remote_id,
                name=info.name,
                status=info.status,
                status_at=now,
                started_at=info.created_at,
            )
            for info in unique.values()
        ],
        update_conflicts=True,
        unique_fields=["brand", "connection", "remote_id"],
        update_fields=["name", "status", "status_at", "started_at"],
    )
    rows = {
        row.remote_id: row
        for row in Campaign.objects.filter(connection=connection, remote_id__in=unique)
    }
    return [rows[remote_id] for remote_id in unique]


def save_categories(brand_id: int, found: Sequence[CategoryInfo]) -> None:
    """Insert or update the listed categories. Safe to repeat."""
    unique = {info.remote_id: info for info in found}
    Category.objects.bulk_create(
        [
            Category(
                brand_id=brand_id,
                remote_id=info.remote_id,
                name=info.name,
                sentiment=info.sentiment,
            )
            for info in unique.values()
        ],
        update_conflicts=True,
        unique_fields=["brand", "remote_id"],
        update_fields=["name", "sentiment"],
    )


def key_refused(asked_with: Connection) -> bool:
    """Say on the connection that SmartLead refused its key; False when it has another key by now,
    or none. In the brand's scope. `asked_with`: the connection as it was when the call was made."""
    same = Connection.objects.filter(
        pk=asked_with.pk, state=Connection.State.WORKING, checked_at=asked_with.checked_at
    )
    return bool(same.update(state=Connection.State.REFUSED, checked_at=timezone.now()))
