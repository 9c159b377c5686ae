"""The site, a bare view that inserts one row, and dj-stripe's own webhook view."""

from __future__ import annotations

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from saas.urls import urlpatterns as site


@csrf_exempt
def bare(request: HttpRequest) -> HttpResponse:
    """The least that keeps a delivery: one row, one commit."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_bare (body) VALUES (%s)", [request.body.decode()])
    return HttpResponse(status=200)


urlpatterns = [
    path("bench/bare/", bare),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
    *site,
]
