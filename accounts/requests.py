"""The request as a brand's page sees it; annotate views under /b/<slug>/ with it."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from accounts.models import Brand, Membership, User


class BrandRequest(HttpRequest):
    """What `accounts.middleware.BrandScope` adds. `brand` and `membership` are unsaved stand-ins
    with key, slug, name and role: read those, and fetch the row for anything else."""

    brand: Brand
    membership: Membership
    user: User
    htmx: HtmxDetails
