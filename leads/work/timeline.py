"""A lead's timeline, newest first: mails, notes, what people changed, and joins of campaigns.

A page is cut by key: each kind gives its newest rows behind it, and the newest of all are shown. So
no page holds more than PAGE rows of each kind, however long the timeline is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Left

from leads import mail
from leads.models import CampaignLead, LeadChange, Message, Note
from leads.search import EPOCH

PAGE = 100
KEY = re.compile(r"(-?[0-9]{1,18})-([0-3])-([0-9]{1,18})")


@dataclass(frozen=True)
class Entry:
    """One thing that happened. `rank` is the place of its kind among things of one moment."""

    at: datetime
    rank: int
    id: int
    kind: str
    row: Any

    def __str__(self) -> str:
        return f"{(self.at - EPOCH) // timedelta(microseconds=1)}-{self.rank}-{self.id}"


Place = tuple[datetime, int, int]


def parse(text: str) -> Place | None:
    """Read where a page begins, from a URL; None for anything that is no such place."""
    found = KEY.fullmatch(text)
    if found is None:
        return None
    try:
        at = EPOCH + timedelta(microseconds=int(found[1]))
    except OverflowError:  # no such year
        return None
    return at, int(found[2]), int(found[3])


def page(brand_id: int, lead_id: int, before: Place | None = None) -> tuple[list[Entry], str]:
    """Return what happened before that place, newest first, and the place where the next page
    begins ("" for none). Call in the brand's scope."""
    found = sorted(
        _entries(brand_id, lead_id, before), key=lambda e: (e.at, e.rank, e.id), reverse=True
    )
    shown = found[:PAGE]
    return shown, str(shown[-1]) if len(found) > PAGE else ""


def _entries(brand_id: int, lead_id: int, before: Place | None) -> Iterator[Entry]:
    of_lead = {"brand_id": brand_id, "lead_id": lead_id}
    mails = Message.objects.filter(**of_lead).defer("body")
    for rank, (kind, rows, at, number) in enumerate(
        (
            ("message", mails.annotate(html=Left("body", mail.LONGEST + 1)), "sent_at", "id"),
            ("note", Note.objects.filter(**of_lead).select_related("author"), "created_at", "id"),
            ("change", LeadChange.objects.filter(**of_lead), "at", "id"),
            ("joined", CampaignLead.objects.filter(**of_lead), "joined_at", "campaign_id"),
        )
    ):
        for row in _behind(rows, rank, at, number, before):
            yield Entry(getattr(row, at), rank, getattr(row, number), kind, row)


def _behind(
    rows: QuerySet[Any], rank: int, at: str, number: str, before: Place | None
) -> QuerySet[Any]:
    if before is not None:
        when, of_rank, key = before
        rows = rows.filter(**{f"{at}__lte": when})
        if rank > of_rank:
            rows = rows.filter(**{f"{at}__lt": when})
        elif rank == of_rank:
            rows = rows.filter(Q(**{f"{at}__lt": when}) | Q(**{f"{number}__lt": key}))
    return rows.order_by(f"-{at}", f"-{number}")[: PAGE + 1]
