"""Ways in: to the login page and back, with nothing lost in between."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme


def page_of(request: HttpRequest) -> str:
    """Return the path of the page that the person is on.

    For a form's POST or a live part of a page that is the page around it (the Referer, when it is
    ours), since the address of the request itself can't be opened.
    """
    live = bool(getattr(request, "htmx", False))
    if request.method in ("GET", "HEAD") and not live:
        return request.get_full_path()
    source = request.headers.get("HX-Current-URL") or request.headers.get("Referer") or ""
    if is_ours(request, source):
        parts = urlsplit(source)
        return parts.path + (f"?{parts.query}" if parts.query else "")
    return resolve_url(settings.LOGIN_REDIRECT_URL)


def is_ours(request: HttpRequest, url: str) -> bool:
    """Tell whether `url` is safe to send the person to."""
    return bool(url) and url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )


def to_login(request: HttpRequest) -> HttpResponseBase:
    """Send the person to the login page, and from there back to where they were."""
    response = redirect_to_login(page_of(request))
    if getattr(request, "htmx", False):
        # A live part can't show a login page: the whole page goes there.
        return HttpResponse(status=200, headers={"HX-Redirect": response.url})
    return response


def leads_to_login(response: HttpResponseBase) -> bool:
    """Tell whether `response` sends the person to the login page, and from there back."""
    url = response.headers.get("Location") or response.headers.get("HX-Redirect") or ""
    return url.startswith(f"{resolve_url(settings.LOGIN_URL)}?")
