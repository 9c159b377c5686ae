"""Types of requests, as views behind the middleware and `login_required` see them."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from accounts.brands import Place
from accounts.models import Brand, Membership, User


class PersonRequest(HttpRequest):
    """Somebody is logged in."""

    user: User
    htmx: HtmxDetails


class BrandRequest(PersonRequest):
    """What `accounts.middleware.BrandScope` adds. `brand` and `membership` are unsaved stand-ins
    with key, slug, name and role: read those, and fetch the row for anything else."""

    places: list[Place]  # all of the person's
    brand: Brand
    membership: Membership
