"""How often a person may do what costs others something: django-ratelimit's counts, one 429."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.defaults import permission_denied
from django_ratelimit.core import get_usage
from django_ratelimit.exceptions import Ratelimited

from accounts.lockout import too_many


class TooMany(Ratelimited):  # type: ignore[misc]
    """Too often; the same may be done again after `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"again in {seconds} s")
        self.seconds = seconds


def count(request: HttpRequest, what: str, rate: str) -> None:
    """Count one more `what` of the request's person; raise TooMany above `rate` ("50/h")."""
    usage = get_usage(request, group=what, key="user", rate=rate, increment=True)
    if usage and usage["should_limit"]:
        raise TooMany(max(1, int(usage["time_left"])))


def forbidden(request: HttpRequest, exception: PermissionDenied) -> HttpResponse:
    """handler403: 403 for who may not, 429 for who may and did it too often."""
    if isinstance(exception, Ratelimited):
        return too_many(request, seconds=getattr(exception, "seconds", 60))
    return permission_denied(request, exception)
