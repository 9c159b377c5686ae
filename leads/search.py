"""Finding leads: filters in, one page by key out. Fast at ten million rows of a brand.

A page is cut by comparing rows with a key, never by OFFSET, and every query names the brand, so
that each filter, each pair of them and each sort walks one index (leads.models.lead). Words are
looked up first (leads.hits); who asks twice hands the hits on as `found`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q, QuerySet, Value

from leads.hits import Hits, OneOf, Sorted, by_words, hits
from leads.models import CampaignLead, Lead, LeadTag

PAGE = 50
COUNTED = 10_000  # counts above this are "more than"
COUNTED_EACH = 100  # the same, where each lead is asked for the words
EPOCH = datetime.fromtimestamp(0, UTC)

LISTED = (
    "brand_id", "id", "email", "first_name", "last_name", "company", "status", "category",
    "replied", "last_activity_at", "created_at", "unsubscribed",
)  # fmt: skip
PLACED = ("brand_id", "campaign_id", "lead_id", "status", "category", "replied", "last_activity_at")
MARKED = ("brand_id", "tag_id", "lead_id", "last_activity_at")
SHOWN: dict[Any, tuple[str, ...]] = {Lead: LISTED, CampaignLead: PLACED, LeadTag: MARKED}
KEY = re.compile(r"(-?[0-9]{1,18})-([0-9]{1,18})")
NUMBER = re.compile(r"[0-9]{1,18}")


class Sort(StrEnum):
    """The order of the list; each is that of an index. Who was added last has the highest id."""

    ACTIVITY = "activity"
    ADDED = "added"
    EMAIL = "email"


@dataclass(frozen=True)
class Key:
    """Where a page begins: the activity and id of a lead. In URLs as `microseconds-id`."""

    at: datetime
    id: int

    def __str__(self) -> str:
        return f"{(self.at - EPOCH) // timedelta(microseconds=1)}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> Key | None:
        """Read a key; None for anything that isn't one."""
        found = KEY.fullmatch(text)
        if found is None:
            return None
        try:
            return cls(EPOCH + timedelta(microseconds=int(found[1])), int(found[2]))
        except OverflowError:  # no such year
            return None


AnyKey = Key | int | str  # of Sort.ACTIVITY, of ADDED (an id), of EMAIL (an address)


def parse_key(sort: Sort, text: str) -> AnyKey | None:
    """Read where a page of `sort` begins; None for what is no such place."""
    match sort:
        case Sort.ACTIVITY:
            return Key.parse(text)
        case Sort.ADDED:
            return int(text) if NUMBER.fullmatch(text) else None
        case Sort.EMAIL:
            return text if text and "\0" not in text else None


@dataclass(frozen=True)
class Filters:
    """What the person wants to see. Empty fields don't filter."""

    q: str = ""
    campaign: int | None = None
    status: str = ""
    category: int | None = None
    replied: bool = False
    since: date | None = None
    until: date | None = None
    unsubscribed: bool = False
    tag: int | None = None

    @property
    def any(self) -> bool:
        return self != Filters()

    def params(self) -> dict[str, str]:
        """Return what filters, as the parameters of the list."""
        values = {
            "q": self.q,
            "campaign": self.campaign,
            "status": self.status,
            "category": self.category,
            "replied": "1" if self.replied else "",
            "since": self.since,
            "until": self.until,
            "unsubscribed": "1" if self.unsubscribed else "",
            "tag": self.tag,
        }
        return {name: str(value) for name, value in values.items() if value}

    @classmethod
    def of(cls, params: Mapping[str, str]) -> Filters:
        """Read what `params` gave; ValueError for anything else."""
        if not params.keys() <= {field.name for field in fields(cls)}:
            raise ValueError(f"no filters: {sorted(params)}")

        def number(name: str) -> int | None:
            return int(params[name]) if name in params else None

        def day(name: str) -> date | None:
            return date.fromisoformat(params[name]) if name in params else None

        return cls(
            params.get("q", ""), number("campaign"), params.get("status", ""), number("category"),
            "replied" in params, day("since"), day("until"), "unsubscribed" in params,
            number("tag"),
        )  # fmt: skip

    def query(self, sort: Sort = Sort.ACTIVITY) -> str:
        """Return the filters and the sort as a query string, for links."""
        return urlencode(self.params() | ({"sort": sort} if sort != Sort.ACTIVITY else {}))


@dataclass(frozen=True)
class Row:
    """A lead in the list. With a campaign chosen, status, category and reply are those in it."""

    id: int
    email: str
    name: str
    company: str
    status: str
    category: int | None
    replied: bool
    at: datetime
    added: datetime
    unsubscribed: bool


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    before: AnyKey | None
    after: AnyKey | None


def page(
    brand_id: int,
    filters: Filters,
    *,
    sort: Sort = Sort.ACTIVITY,
    after: AnyKey | None = None,
    before: AnyKey | None = None,
    found: Hits | None = None,
) -> Page:
    """Return one page, the newest first or from A to Z. Call in the brand's scope."""
    found = found or hits(brand_id, filters.q)
    rows, number = matching(brand_id, filters, sort, found)
    rows = rows.only(*SHOWN[rows.model])
    searched = _by_hits(filters, found)
    cut = list(_cut(rows, number, sort, searched=searched, after=after, before=before)[: PAGE + 1])
    more = len(cut) > PAGE
    cut = cut[:PAGE]
    if before is not None:
        cut.reverse()
    keys = [_key(row, number, sort) for row in (cut[0], cut[-1])] if cut else [None, None]
    return Page(
        _shown(brand_id, filters, cut),
        before=keys[0] if (more if before is not None else after is not None) else None,
        after=keys[1] if (before is not None or more) else None,
    )


def count(brand_id: int, filters: Filters, found: Hits | None = None) -> tuple[int, bool]:
    """Return how many leads match and whether that is exact; counts no further than COUNTED, nor
    beyond what a search by words finds."""
    found = found or hits(brand_id, filters.q)
    if found and filters == Filters(q=filters.q) and (found.all or len(found.ids) > PAGE):
        return len(found.ids), found.all
    rows, _ = matching(brand_id, filters, found=found)
    most = COUNTED if found is None or found.all else COUNTED_EACH
    number = rows.order_by().values("brand_id")[: most + 1].count()
    return min(number, most), number <= most


def beside(
    brand_id: int, filters: Filters, sort: Sort, lead: Lead
) -> tuple[int | None, int | None]:
    """Return the ids of the lead before and after `lead` in the list; None where it ends, and
    both when the lead is none of a chosen campaign."""
    found = hits(brand_id, filters.q)
    rows, number = matching(brand_id, filters, sort, found)
    here: Lead | CampaignLead | None = lead
    if filters.campaign is not None and sort == Sort.ACTIVITY:
        here = CampaignLead.objects.filter(
            brand_id=brand_id, campaign_id=filters.campaign, lead_id=lead.id
        ).first()
    if here is None:
        return None, None
    key = _key(here, "lead_id" if isinstance(here, CampaignLead) else "id", sort)
    before, after = (
        _cut(rows, number, sort, searched=_by_hits(filters, found), **{way: key})
        .values_list(number, flat=True)
        .first()
        for way in ("before", "after")
    )
    return before, after


def matching(
    brand_id: int,
    filters: Filters,
    sort: Sort = Sort.ACTIVITY,
    found: Hits | None = None,
    *,
    whole: bool = False,
) -> tuple[QuerySet[Any], str]:
    """Return what the filters let through, unordered, and which column is the lead's id: leads,
    their places in the campaign that was chosen, or their tags (both have no address to sort by).

    Words are looked up as hits, which are capped. `whole` asks each lead instead, for who walks all
    of them by their ids; so does a cap behind which other filters could let something through.
    """
    found = None if whole else found or hits(brand_id, filters.q)
    if found is not None and not _by_hits(filters, found):
        found, whole = None, True
    leads = Lead.objects.filter(brand_id=brand_id)
    if filters.campaign is None and filters.tag is not None and sort != Sort.EMAIL:
        tags = _days(LeadTag.objects.filter(brand_id=brand_id, tag_id=filters.tag), filters)
        rest = replace(filters, tag=None, since=None, until=None)
        if rest.any:
            others, _ = matching(brand_id, rest, found=found, whole=whole)
            tags = tags.filter(lead_id__in=others.values("id"))
        return tags, "lead_id"
    if filters.campaign is None:
        return _standing(_person(leads, brand_id, filters, "id", found), filters), "id"
    places = CampaignLead.objects.filter(brand_id=brand_id, campaign_id=filters.campaign)
    if sort == Sort.EMAIL:
        chosen = leads.filter(id__in=_standing(places, filters).values("lead_id"))
        return _person(chosen, brand_id, filters, "id", found), "id"
    return _standing(_person(places, brand_id, filters, "lead_id", found), filters), "lead_id"


def _by_hits(filters: Filters, found: Hits | None) -> bool:
    """Tell whether the hits are all that a list of these filters can show."""
    alone = filters == Filters(q=filters.q)
    return found is not None and (found.all or (alone and len(found.ids) > PAGE))


def _person(
    rows: QuerySet[Any], brand_id: int, filters: Filters, number: str, found: Hits | None
) -> QuerySet[Any]:
    """Filter by what a lead is wherever it stands."""
    if found is not None:
        rows = rows.filter(OneOf(F(number), Value(found.ids)))
    elif filters.q.strip():
        said = Lead.objects.filter(by_words(filters.q), brand_id=brand_id)
        rows = (
            rows.filter(by_words(filters.q))
            if number == "id"
            else rows.filter(lead_id__in=said.values("id"))
        )
    if filters.tag is not None:
        tagged = LeadTag.objects.filter(brand_id=brand_id, tag_id=filters.tag)
        rows = rows.filter(**{f"{number}__in": tagged.values("lead_id")})
    if filters.unsubscribed and number == "id":
        rows = rows.filter(unsubscribed=True)
    elif filters.unsubscribed:
        gone = Lead.objects.filter(brand_id=brand_id, unsubscribed=True)
        rows = rows.filter(lead_id__in=gone.values("id"))
    return rows


def _standing(rows: QuerySet[Any], filters: Filters) -> QuerySet[Any]:
    """Filter by what leads and their places in campaigns both have."""
    if filters.status:
        rows = rows.filter(status=filters.status)
    if filters.category is not None:
        rows = rows.filter(category=filters.category)
    if filters.replied:
        rows = rows.filter(replied=True)
    return _days(rows, filters)


def _days(rows: QuerySet[Any], filters: Filters) -> QuerySet[Any]:
    if filters.since:
        rows = rows.filter(last_activity_at__gte=datetime.combine(filters.since, time.min, UTC))
    if filters.until:
        rows = rows.filter(last_activity_at__lte=datetime.combine(filters.until, time.max, UTC))
    return rows


def _cut(
    rows: QuerySet[Any],
    number: str,
    sort: Sort,
    *,
    searched: bool,
    after: AnyKey | None = None,
    before: AnyKey | None = None,
) -> QuerySet[Any]:
    """Order the rows and cut them at a key: behind it, or in front of it with the nearest first."""
    up = (before is not None) != (sort == Sort.EMAIL)  # towards what sorts higher
    columns = {
        Sort.ACTIVITY: ("last_activity_at", number),
        Sort.ADDED: (number,),
        Sort.EMAIL: ("email",),
    }[sort]
    key = after if before is None else before
    if isinstance(key, Key):
        rows = _beyond(rows, number, key, up=up)
    elif key is not None:
        rows = rows.filter(**{f"{columns[0]}__{'gt' if up else 'lt'}": key})
    by = [Sorted(column) if searched else F(column) for column in columns]
    return rows.order_by(*(column.asc() if up else column.desc() for column in by))


def _beyond(rows: QuerySet[Any], number: str, key: Key, *, up: bool) -> QuerySet[Any]:
    """Cut the rows at `key`. The first condition bounds the index walk, the second breaks ties."""
    if up:
        later = Q(last_activity_at__gt=key.at) | Q(**{f"{number}__gt": key.id})
        return rows.filter(last_activity_at__gte=key.at).filter(later)
    earlier = Q(last_activity_at__lt=key.at) | Q(**{f"{number}__lt": key.id})
    return rows.filter(last_activity_at__lte=key.at).filter(earlier)


def _key(row: Lead | CampaignLead | LeadTag, number: str, sort: Sort) -> AnyKey:
    if isinstance(row, Lead) and sort == Sort.EMAIL:
        return str(row.email)
    id_of = int(getattr(row, number))
    return id_of if sort == Sort.ADDED else Key(row.last_activity_at, id_of)


def _row(lead: Lead) -> Row:
    return Row(
        id=lead.id,
        email=lead.email,
        name=lead.name,
        company=lead.company,
        status=lead.status,
        category=lead.category,
        replied=lead.replied,
        at=lead.last_activity_at,
        added=lead.created_at,
        unsubscribed=lead.unsubscribed,
    )


def _shown(brand_id: int, filters: Filters, found: list[Any]) -> list[Row]:
    """Return the rows as the list shows them: with a campaign chosen, as they stand in it. One that
    was deleted in this moment is left out."""
    if not found or (filters.campaign is None and isinstance(found[0], Lead)):
        return [_row(lead) for lead in found]
    ids = [row.id if isinstance(row, Lead) else row.lead_id for row in found]
    leads = Lead.objects.filter(brand_id=brand_id, id__in=ids).only(*LISTED)
    by_id = {lead.id: _row(lead) for lead in leads}
    if filters.campaign is not None:
        places = CampaignLead.objects.filter(
            brand_id=brand_id, campaign_id=filters.campaign, lead_id__in=ids
        ).only(*PLACED)
        for place in places if isinstance(found[0], Lead) else found:
            if place.lead_id in by_id:
                by_id[place.lead_id] = _placed(by_id[place.lead_id], place)
    return [by_id[number] for number in ids if number in by_id]


def _placed(row: Row, place: CampaignLead) -> Row:
    return replace(
        row,
        status=place.status,
        category=place.category,
        replied=place.replied,
        at=place.last_activity_at,
    )
