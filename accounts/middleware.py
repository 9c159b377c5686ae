"""Web middleware of people and brands."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse

from accounts import brands
from accounts.models import Brand, Membership
from accounts.roles import allows
from saas import context
from saas.errors import Bug
from saas.tenancy import scope

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class SessionTimeouts:
    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)


class PersonContext:
    """Binds the person to logs and audit."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated:
            context.update(user_id=request.user.pk)
        return self.get_response(request)


class BrandScope:
    """Runs every view under /b/<slug>/ for a member of that brand, inside its scope.

    Strangers and members of other brands get 404: the brand does not exist for them. A member whose
    role lacks the view's permission gets 403. A view that declares no permission is a Bug.
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
            return redirect_to_login(request.get_full_path())
        place = brands.place(request.user, kwargs.pop("slug"))
        if place is None:
            raise Http404
        permission = getattr(view, "permission", None)
        if permission is None:
            raise Bug(f"the view of {match.route} declares no permission")
        request.brand = Brand(pk=place.brand_id, slug=place.slug, name=place.name)
        request.membership = Membership(
            pk=place.membership_id, brand=request.brand, user=request.user, role=place.role
        )
        context.update(brand_id=place.brand_id)
        if not allows(place.role, permission):
            raise PermissionDenied(permission)
        sight: AbstractContextManager[None] = (
            scope(place.brand_id) if getattr(view, "scoped", True) else nullcontext()
        )
        with sight:
            response = view(request, *args, **kwargs)
            if isinstance(response, TemplateResponse) and not response.is_rendered:
                response.render()
        return response
