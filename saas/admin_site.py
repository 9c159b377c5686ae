"""The admin: the audited console of staff. Every request in it sees every brand, and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse

from saas.tenancy import everyone


class HarborAdminSite(admin.AdminSite):
    """Django's own admin, run as `harbor_ops` (policy: every row) one transaction a request."""

    site_header = site_title = "Harbor"
    index_title = "Console"
    empty_value_display = "-"

    def admin_view(
        self, view: Callable[..., HttpResponseBase], cacheable: bool = False
    ) -> Callable[..., HttpResponseBase]:
        def as_operator(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            with everyone(f"admin {request.path}"):
                response = view(request, *args, **kwargs)
                if isinstance(response, TemplateResponse) and not response.is_rendered:
                    response.render()
                return response

        return super().admin_view(as_operator, cacheable)
