"""Health and metrics over HTTP."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache

from saas.observability import health, metrics

LOOPBACK = ("127.0.0.1", "::1")


def _may_look(request: HttpRequest) -> bool:
    """An operator: from loopback (of the real client, see saas.proxies) or with METRICS_TOKEN."""
    if request.META.get("REMOTE_ADDR") in LOOPBACK:
        return True
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    token = settings.METRICS_TOKEN
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())


@never_cache
def live(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """200 while the process answers at all; it asks nobody."""
    return JsonResponse({"ok": True})


@never_cache
def ready(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """200 when requests can be served; 503 tells the balancer to send them elsewhere."""
    ok, _ = health.run(health.READY)
    return JsonResponse({"ok": ok}, status=200 if ok else 503)


@never_cache
def deep(request: HttpRequest) -> HttpResponse:
    """Everything Harbor leans on, part by part, for operators."""
    if not _may_look(request):
        raise Http404
    ok, parts = health.deep()
    return JsonResponse({"ok": ok, "parts": parts}, status=200 if ok else 503)


@never_cache
def prometheus(request: HttpRequest) -> HttpResponse:
    """Metrics in Prometheus' text format, for operators."""
    if not _may_look(request):
        raise Http404
    return HttpResponse(metrics.exposition(), content_type="text/plain; version=0.0.4")
