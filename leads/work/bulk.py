"""What people do with changes of many leads: start, cancel, undo. Call in the brand's scope.

Each is claimed by the job's state, audits, and is safe to repeat; a move that is not possible (any
more) is Refused with words.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, Q, Sum
from django.utils import timezone

from accounts.models import User
from leads import words
from leads.models import BulkJob, Lead
from leads.search import Filters
from leads.work import tags
from saas import audit
from saas.celery import wake
from saas.errors import Refused

What, State = BulkJob.What, BulkJob.State
STRIDE = "leads.work.stride"
MOST_LIVE = 10
MOST_TICKED = 1000
NO_CATEGORY = "No category"


@dataclass(frozen=True)
class Wish:
    """What somebody wants of which leads: the ticked ones, or with None those of the filters."""

    what: str
    filters: Filters
    ticked: tuple[int, ...] | None = None
    category: int | None = None
    tag: str = ""


def start(*, brand_id: int, wish: Wish, request_key: uuid.UUID, actor: User) -> BulkJob:
    """Begin the change; the same `request_key` again returns the job that it began.

    Leads that come in later are not touched, nor those that match no more when their turn comes.
    """
    known = BulkJob.objects.filter(request_key=request_key)
    if (row := known.first()) is not None:
        return _own(row)
    if BulkJob.objects.filter(state__in=BulkJob.CARRIED).count() >= MOST_LIVE:
        raise Refused("too_many_jobs", f"{MOST_LIVE} changes are under way. Wait for one to end.")
    fields = _object(brand_id, wish, actor) | _leads(brand_id, wish)
    try:
        with transaction.atomic():
            row = BulkJob.objects.create(
                what=wish.what,
                request_key=request_key,
                requested_by=actor,
                due_at=timezone.now(),
                **fields,
            )
    except IntegrityError:  # the same press in the same moment
        return _own(known.get())
    audit.record(
        "bulk.started",
        row,
        actor=actor,
        changes={"what": ["", row.what], "to": ["", row.label], "filters": [{}, row.filters],
                 "leads": [0, row.total]},
    )  # fmt: skip
    wake(STRIDE, brand_id, row.pk)
    return _own(row)


def cancel(*, job_id: int, actor: User) -> BulkJob:
    """End the change where it stands. What is done stays, and can be undone."""
    row = _move(job_id, (State.RUNNING,), state=State.CANCELLED, ended_at=timezone.now())
    audit.record("bulk.cancelled", row, actor=actor, changes=figures(row))
    return row


def undo(*, brand_id: int, job_id: int, actor: User) -> BulkJob:
    """Take back what the job changed and nobody has changed since; of deleted leads, let the next
    sync bring them back. Within seven days of its end."""
    row = BulkJob.objects.select_for_update(no_key=True).filter(pk=job_id).first()
    if row is not None and row.state in BulkJob.UNDOABLE and not row.undoable(timezone.now()):
        raise Refused("too_late", "This can't be undone any more.")
    row = _move(job_id, BulkJob.UNDOABLE, state=State.UNDOING, due_at=timezone.now(), attempts=0)
    audit.record("bulk.undo_started", row, actor=actor, changes=figures(row))
    wake(STRIDE, brand_id, row.pk)
    return row


def standing(brand_id: int) -> tuple[int, int | None]:
    """Return how many leads the brand has deleted, which were brought in and are gone, and the
    newest job that is under way."""
    found = BulkJob.objects.filter(brand_id=brand_id).aggregate(
        deleted=Sum("changed", filter=Q(what=What.DELETE)),
        live=Max("pk", filter=Q(state__in=BulkJob.CARRIED)),
    )
    return int(found["deleted"] or 0), found["live"]


def figures(row: BulkJob) -> dict[str, list[Any]]:
    """Return the job's numbers, for the journal."""
    return {"seen": [0, row.seen], "changed": [0, row.changed], "undone": [0, row.undone]}


def _object(brand_id: int, wish: Wish, actor: User) -> dict[str, Any]:
    """Return what is set, added or removed, and its name."""
    match wish.what:
        case What.CATEGORY:
            names = words.categories()
            if wish.category is not None and wish.category not in names:
                raise Refused("no_category", "Choose a category.")
            label = NO_CATEGORY if wish.category is None else names[wish.category]
            return {"category": wish.category, "label": label}
        case What.TAG:
            tag = tags.named(brand_id, wish.tag, actor=actor)
        case What.UNTAG:
            tag = tags.existing(wish.tag)
        case What.DELETE:
            return {}
        case _:
            raise Refused("no_action", "Choose what to do with the leads.")
    return {"tag": tag, "label": tag.name}


def _leads(brand_id: int, wish: Wish) -> dict[str, Any]:
    """Return which leads: those that were ticked, or what the filters let through, up to now."""
    ids: Sequence[int] | None = wish.ticked
    if ids is not None and not 0 < len(ids) <= MOST_TICKED:
        raise Refused("nothing_ticked", "Tick the leads that you mean, or choose all of them.")
    if ids is not None:
        return {"leads": sorted(set(ids)), "total": len(set(ids)), "filters": wish.filters.params()}
    newest = Lead.objects.filter(brand_id=brand_id).aggregate(newest=Max("id"))["newest"]
    return {"filters": wish.filters.params(), "upto": newest or 0}


def _move(job_id: int, sources: tuple[str, ...], **fields: Any) -> BulkJob:
    won = BulkJob.objects.filter(pk=job_id, state__in=sources).update(**fields)
    row: BulkJob | None = BulkJob.objects.filter(pk=job_id).first()
    if row is None:
        raise Refused("missing", "There is no such change.")
    if not won:
        raise Refused("wrong_state", f"This change is {row.get_state_display().lower()} already.")
    return row


def _own(row: Any) -> BulkJob:
    job: BulkJob = row
    return job
