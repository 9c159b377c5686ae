"""The admin: the audited console of staff. Every request in it sees every brand, and says so.

Outside DEBUG a member of staff needs a second factor, and must have used it in this session.
`AuditedAdmin` is the base of every page that changes something: the journal gets who, what, from
what to what, and why where money or access is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.utils import is_mfa_enabled
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from saas import audit
from saas.crypto import SealedField
from saas.tenancy import everyone

M = TypeVar("M", bound=models.Model)


def used_second_factor(request: HttpRequest) -> bool:
    """Tell whether this session was opened or confirmed with a second factor."""
    records = get_authentication_records(request, request.user)  # without the user: always []
    return any(record["method"] == "mfa" for record in records)


class HarborAdminSite(admin.AdminSite):
    """Django's own admin, run as `harbor_ops` (policy: every row) one transaction a request."""

    site_header = site_title = "Harbor"
    index_title = "Console"
    empty_value_display = "-"

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and (settings.DEBUG or used_second_factor(request))

    def login(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """Send the person where their missing step is; there is no other login than allauth's."""
        back = _safe_next(request)
        if self.has_permission(request):
            return HttpResponseRedirect(back)
        if not request.user.is_authenticated:
            return _go("account_login", back)
        if not (request.user.is_active and request.user.is_staff):
            raise PermissionDenied("staff only")
        if not is_mfa_enabled(request.user, types=["totp", "webauthn"]):
            messages.warning(request, "The console needs a second factor. Set one up first.")
            return _go("mfa_index", back)
        return HttpResponseRedirect(f"{_confirm_url(request)}?{urlencode({'next': back})}")

    def password_change(
        self,
        request: HttpRequest,  # noqa: ARG002
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """The one page for it, which also ends the other sessions and journals the change."""
        return HttpResponseRedirect(reverse("account_change_password"))

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        def as_operator(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            with everyone(f"admin {request.path}"):
                response: HttpResponseBase = view(request, *args, **kwargs)
                if isinstance(response, TemplateResponse) and not response.is_rendered:
                    response.render()
                return response

        return super().admin_view(as_operator, cacheable)


def _safe_next(request: HttpRequest) -> str:
    wanted = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME) or ""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    login = reverse("admin:login")
    return wanted if safe and not wanted.startswith(login) else reverse("admin:index")


def _go(url_name: str, back: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{reverse(url_name)}?{urlencode({REDIRECT_FIELD_NAME: back})}")


def _confirm_url(request: HttpRequest) -> str:
    """The page that asks this person for the factor that they have."""
    methods = get_adapter().get_reauthentication_methods(request.user)
    return str(next(m["url"] for m in methods if m["id"].startswith("mfa_reauthenticate")))


class AuditedAdmin(admin.ModelAdmin[M]):
    """A ModelAdmin whose every change is a journal entry by the member of staff.

    Old and new values are recorded; sealed and password fields only as "changed". With
    `needs_reason` the form asks why, and refuses to save without an answer.
    """

    needs_reason: ClassVar[bool] = False

    def get_form(
        self, request: HttpRequest, obj: M | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if self.needs_reason and self.has_change_permission(request, obj):
            base = kwargs.get("form") or self.form
            kwargs["form"] = type("ReasonForm", (base,), {"reason": _reason_field()})
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: M | None = None) -> Any:
        found = list(super().get_fieldsets(request, obj))
        named = {name for _, options in found for name in _flat(options["fields"])}
        may = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        if self.needs_reason and may and "reason" not in named:
            found.append(("Why", {"fields": ("reason",)}))
        return found

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        names = [name for name in form.changed_data if name != "reason"]
        stored = self.model._base_manager.filter(pk=form.instance.pk).first() if change else None
        request._harbor_before = {name: _shown(stored, name) for name in names}  # type: ignore[attr-defined]
        return super().save_form(request, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The last step of a save: many-to-many fields have their new values too."""
        super().save_related(request, form, formsets, change)
        before: dict[str, Any] = request._harbor_before  # type: ignore[attr-defined]
        changes = {name: [old, _shown(form.instance, name)] for name, old in before.items()}
        for name, pair in changes.items():
            if _is_secret(self.model, name):
                changes[name] = ["(hidden)", "(changed)"] if pair[0] else [None, "(set)"]
        if changes or not change:
            verb = "changed" if change else "created"
            reason = str(form.cleaned_data.get("reason", ""))
            self.record(request, verb, form.instance, reason=reason, changes=changes)

    def delete_model(self, request: HttpRequest, obj: M) -> None:
        self.record(request, "deleted", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[M]) -> None:
        for obj in queryset:
            self.record(request, "deleted", obj)
        super().delete_queryset(request, queryset)

    def record(
        self,
        request: HttpRequest,
        verb: str,
        obj: models.Model,
        *,
        reason: str = "",
        changes: dict[str, Any] | None = None,
    ) -> None:
        """Write `<model>.<verb>_by_staff` into the journal; for actions of subclasses too."""
        action = f"{obj._meta.model_name}.{verb}_by_staff"
        audit.record(action, obj, actor=request.user, reason=reason, changes=changes)  # type: ignore[arg-type]


class ReadOnlyAdmin(AuditedAdmin[M]):
    """To look at: other code writes these rows, or nobody may."""

    actions: Sequence[Any] | None = None

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """What an action of a read-only page needs: the right to change such rows."""
        meta = self.model._meta
        return bool(request.user.has_perm(f"{meta.app_label}.change_{meta.model_name}"))

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:  # noqa: ARG002
        return False


def _reason_field() -> forms.CharField:
    return forms.CharField(
        label="Reason",
        max_length=300,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Stays in the journal beside what you change.",
    )


def _flat(fields: Any) -> list[str]:
    names: list[str] = []
    for item in fields:
        names.extend(item if isinstance(item, (list, tuple)) else [item])
    return names


def _is_secret(model: type[models.Model], name: str) -> bool:
    if "password" in name:
        return True
    known = {field.name for field in model._meta.get_fields()}
    return name in known and isinstance(model._meta.get_field(name), SealedField)


def _shown(obj: models.Model | None, name: str) -> Any:
    """A value as the journal keeps it: text, a number, or a list of texts."""
    if obj is None or not hasattr(obj, name):
        return None
    value = getattr(obj, name)
    if isinstance(value, models.Manager):
        return sorted(str(row) for row in value.all())
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
