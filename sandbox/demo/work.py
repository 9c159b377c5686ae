"""What the demo's people did with their leads: tags, notes, views, a change of many at once."""

from __future__ import annotations

import uuid

from accounts.models import Brand, User
from leads.models import BulkJob, Lead
from leads.search import Filters, Sort
from leads.work import bulk, notes, saved, stride, tags
from leads.work.bulk import Wish
from saas.tenancy import scope

REPLIED = Filters(replied=True)


def do(brand: Brand, owner: User) -> None:
    """Tag who replied, in one change of many, and work the newest of them by hand."""
    with scope(brand):
        wish = Wish(BulkJob.What.TAG, REPLIED, tag="Follow up")
        key = uuid.uuid4()
        job = bulk.start(brand_id=brand.pk, wish=wish, request_key=key, actor=owner)
    stride.stride(brand.pk, job.pk)
    with scope(brand):
        for name, filters in (
            ("To answer", REPLIED),
            ("Follow up", Filters(tag=job.tag_id)),
        ):
            saved.save(
                brand_id=brand.pk, name=name, filters=filters, sort=Sort.ACTIVITY, team=True,
                actor=owner,
            )  # fmt: skip
        rows = Lead.objects.filter(brand_id=brand.pk, replied=True)
        for lead in rows.order_by("-last_activity_at", "-id")[:3]:
            tag = tags.named(brand.pk, "Key account", actor=owner)
            tags.add(brand.pk, lead.id, tag, actor=owner)
            notes.add(lead=lead, text="Asked for a call next week. Ben takes it.", actor=owner)
