"""Web middleware of people and brands."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from accounts import brands, sessions
from accounts.access import leads_to_login, page_of, to_login
from accounts.models import Brand, Membership
from accounts.requests import BrandRequest
from accounts.roles import allows
from saas import context
from saas.errors import Bug, Refused
from saas.tenancy import scope

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class SessionTimeouts:
    """Ends sessions by idle and absolute time-out, and renews keys after a change of rights.

    The request goes on as an anonymous one: pages that need a login send the person there and back
    (accounts.access), public ones just show. Whose form came too late is told that nothing was
    saved.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated:
            if sessions.expired(request.session):
                sessions.end(request)
                if request.method != "POST":
                    messages.info(request, "You were logged out to keep your account safe.")
            else:
                if sessions.key_is_stale(request.session, request.user):
                    sessions.renew_key(request)
                sessions.touch(request.session)
        response = self.get_response(request)
        if request.method == "POST" and leads_to_login(response):
            messages.warning(request, "You were logged out, so nothing was saved. Log in to go on.")
        return response


class PersonContext:
    """Binds the person to logs and audit, and their time zone to the pages."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return self.get_response(request)
        context.update(user_id=request.user.pk)
        with timezone.override(zone(request.user.time_zone)):
            return self.get_response(request)


def zone(name: str) -> ZoneInfo | None:
    """Return the named time zone; None (the installation's) for "" and for one that went away."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


class BrandScope:
    """Runs every view under /b/<slug>/ for a member of that brand, inside its scope.

    Strangers and members of other brands get 404: the brand does not exist for them. A member whose
    role lacks the view's permission gets 403. A view that declares no permission is a Bug. What a
    service refuses is rolled back, and the person is back on their page with the reason.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponseBase],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        match = request.resolver_match
        if match is None or not match.route.startswith("b/<slug:slug>/"):
            return None
        if not request.user.is_authenticated:
            return to_login(request)
        here = self._place(request, kwargs.pop("slug"))
        permission = getattr(view, "permission", None)
        if permission is None:
            raise Bug(f"the view of {match.route} declares no permission")
        if not allows(here.membership.role, permission):
            raise PermissionDenied(permission)
        try:
            return self._run(here, view, args, kwargs)
        except Refused as refusal:
            if request.method != "POST" and match.view_name == "accounts:overview":
                raise  # there is no page left to say it on
            messages.error(request, refusal.message)
            return self._back(here)

    @staticmethod
    def _back(request: BrandRequest) -> HttpResponseBase:
        """To the page of the form; a page that refuses to show itself leads to the overview."""
        overview = reverse("accounts:overview", args=[request.brand.slug])
        url = page_of(request) if request.method == "POST" else overview
        if request.htmx:
            return HttpResponse(headers={"HX-Redirect": url})
        return HttpResponseRedirect(url)

    @staticmethod
    def _place(request: HttpRequest, slug: str) -> BrandRequest:
        here = cast("BrandRequest", request)
        here.places = brands.places(here.user)
        place = next((one for one in here.places if one.slug == slug), None)
        if place is None:
            raise Http404
        here.brand = Brand(
            pk=place.brand_id, slug=place.slug, name=place.name, time_zone=place.time_zone
        )
        here.membership = Membership(
            pk=place.membership_id, brand=here.brand, user=here.user, role=place.role
        )
        context.update(brand_id=place.brand_id)
        return here

    @staticmethod
    def _run(
        request: BrandRequest,
        view: Callable[..., HttpResponseBase],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> HttpResponseBase:
        sight: AbstractContextManager[None] = (
            scope(request.brand) if getattr(view, "scoped", True) else nullcontext()
        )
        with (
            timezone.override(zone(request.user.time_zone) or zone(request.brand.time_zone)),
            sight,
        ):
            response = view(request, *args, **kwargs)
            if isinstance(response, TemplateResponse) and not response.is_rendered:
                response.render()
        return response
