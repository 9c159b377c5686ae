"""Tags of a brand: made by naming them, put on leads and taken off. Call in the brand's scope."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import Brand, User
from leads.models import BulkJob, LeadTag, Tag
from leads.work.changes import Change, apply
from saas import audit
from saas.errors import Refused

HELD = 10_000  # a tag on more leads than this goes from them first, in the background


def named(brand_id: int, name: str, *, actor: User) -> Tag:
    """Return the brand's tag of that name, made if there is none; Refused for no name.

    Locks the brand's row when it makes one, so that two people make one.
    """
    wanted = _clean(name)
    rows = Tag.objects.filter(name__iexact=wanted)
    found: Tag | None = rows.first()
    if found is None:
        Brand.objects.select_for_update(no_key=True).get(pk=brand_id)
        found = rows.first()
    if found is not None:
        return found
    if Tag.objects.count() >= Tag.MOST:
        raise Refused("too_many_tags", f"There are {Tag.MOST} tags already. Delete one first.")
    tag: Tag = Tag.objects.create(name=wanted)
    audit.record("tag.created", tag, actor=actor)
    return tag


def existing(name: str) -> Tag:
    """Return the brand's tag of that name; Refused when there is none."""
    found: Tag | None = Tag.objects.filter(name__iexact=" ".join(name.split())).first()
    if found is None:
        raise Refused("no_tag", "There is no such tag.")
    return found


def add(brand_id: int, lead_id: int, tag: Tag, *, actor: User) -> bool:
    """Put the tag on a lead; tell whether it was new there. Safe to repeat."""
    return bool(apply(brand_id, [lead_id], _change(BulkJob.What.TAG, tag, actor)))


def remove(brand_id: int, lead_id: int, tag: Tag, *, actor: User) -> bool:
    """Take the tag off a lead; tell whether it was there. Safe to repeat."""
    return bool(apply(brand_id, [lead_id], _change(BulkJob.What.UNTAG, tag, actor)))


def rename(brand_id: int, tag: Tag, name: str, *, actor: User) -> None:
    """Give the tag another name; Refused when another tag has it."""
    wanted = _clean(name)
    Brand.objects.select_for_update(no_key=True).get(pk=brand_id)
    if Tag.objects.filter(name__iexact=wanted).exclude(pk=tag.pk).exists():
        raise Refused("tag_exists", f"There is a tag “{wanted}” already.")
    audit.record("tag.renamed", tag, actor=actor, changes={"name": [tag.name, wanted]})
    Tag.objects.filter(pk=tag.pk).update(name=wanted)


def delete(brand_id: int, tag: Tag, *, actor: User) -> None:
    """Delete the tag and take it off its leads; Refused when those are too many for one moment."""
    held = LeadTag.objects.filter(brand_id=brand_id, tag_id=tag.pk)[: HELD + 1].count()
    if held > HELD:
        raise Refused(
            "tag_in_use",
            f"“{tag.name}” is on more than {HELD:,} leads. Remove it from them first: choose it as"
            " the list's filter, then all leads of the filter.".replace(",", "\u202f", 1),
        )
    audit.record("tag.deleted", tag, actor=actor, changes={"leads": [held, 0]})
    tag.delete()


def of(brand_id: int, lead_ids: Iterable[int]) -> dict[int, list[Tag]]:
    """Return the tags of each of the leads that has any, by name."""
    rows = LeadTag.objects.filter(brand_id=brand_id, lead_id__in=list(lead_ids))
    places = list(rows.values_list("lead_id", "tag_id"))
    tags = Tag.objects.filter(pk__in={tag_id for _, tag_id in places}).order_by(Lower("name"))
    found: dict[int, list[Tag]] = {}
    for tag in tags:
        for lead_id, tag_id in places:
            if tag_id == tag.pk:
                found.setdefault(lead_id, []).append(tag)
    return found


def _change(what: str, tag: Tag, actor: User) -> Change:
    return Change(what, timezone.now(), actor.pk, tag_id=tag.pk)


def _clean(name: str) -> str:
    wanted = " ".join(name.split())
    if not wanted or len(wanted) > Tag.LONGEST or not wanted.isprintable():
        raise Refused("bad_tag", f"A tag is a name of up to {Tag.LONGEST} letters.")
    return wanted
