"""Saved views: a filter and an order under a name, for oneself or for the team.

Call in the brand's scope. Who works leads may change the team's; one's own are seen by nobody else.
"""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from accounts.models import Brand, User
from leads.models import SavedView
from leads.search import Filters, Sort
from saas import audit
from saas.errors import Refused


def visible(actor: User) -> QuerySet[SavedView]:
    """Return the views that the person sees, by name."""
    rows: QuerySet[SavedView] = SavedView.objects.filter(Q(team=True) | Q(author=actor))
    return rows.order_by(Lower("name"), "pk")


def save(
    *, brand_id: int, name: str, filters: Filters, sort: Sort, team: bool, actor: User
) -> SavedView:
    """Save what the list shows under a name; Refused when the brand has fifty. Locks the brand's
    row, so that nobody takes the same number."""
    Brand.objects.select_for_update(no_key=True).get(pk=brand_id)
    taken = set(SavedView.objects.values_list("number", flat=True))
    free = next((n for n in range(1, SavedView.MOST + 1) if n not in taken), None)
    if free is None:
        raise Refused("too_many_views", f"There are {SavedView.MOST} views. Delete one first.")
    query = filters.params() | ({"sort": sort.value} if sort != Sort.ACTIVITY else {})
    view: SavedView = SavedView.objects.create(
        number=free, name=_clean(name), author=actor, team=team, query=query
    )
    audit.record("view.saved", view, actor=actor)
    return view


def rename(*, view_id: int, name: str, actor: User) -> None:
    view = _visible(view_id, actor)
    audit.record("view.renamed", view, actor=actor)
    SavedView.objects.filter(pk=view.pk).update(name=_clean(name))


def delete(*, view_id: int, actor: User) -> None:
    view = _visible(view_id, actor)
    audit.record("view.deleted", view, actor=actor)
    view.delete()


def _visible(view_id: int, actor: User) -> SavedView:
    view = visible(actor).filter(pk=view_id).first()
    if view is None:
        raise Refused("missing", "This view is not there any more.")
    return view


def _clean(name: str) -> str:
    wanted = " ".join(name.split())
    longest = 60
    if not wanted or len(wanted) > longest or not wanted.isprintable():
        raise Refused("bad_name", f"A view's name has between 1 and {longest} letters.")
    return wanted
