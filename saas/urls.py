"""The map of the site. Apps are named by string: the ground floor imports none of them."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

brand_pages: list[URLPattern | URLResolver] = [
    path("", include("accounts.urls_brand")),
    path("", include("leads.urls_brand")),
    path("billing/", include("billing.urls_brand")),
    path("vpn/", include("vpn.urls_brand")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("saas.observability.urls")),
    path("", include("billing.urls")),  # landing, pricing, Stripe's webhook
    path("", include("accounts.urls")),
    path("", include("leads.urls")),
    path("", include("vpn.urls")),
    path("accounts/", include("allauth.urls")),
    path("b/<slug:slug>/", include(brand_pages)),
    path("admin/", admin.site.urls),
]

handler403 = "accounts.limits.forbidden"

if settings.DEBUG:
    from saas.styleguide import error_page, styleguide

    urlpatterns += [
        path("styleguide/", styleguide, name="styleguide"),
        path("styleguide/<str:code>/", error_page, name="styleguide_error"),
    ]
