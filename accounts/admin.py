"""People and brands in the console.

Nobody sets a password, an e-mail address or a second factor of somebody else here, and no page
shows a session's key: each of them would open the account. Rights of staff are the superusers' to
give, and nobody's to give to themselves.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from accounts import sessions
from accounts.models import Brand, Invitation, Mail, Membership, User
from accounts.roles import Role
from saas.admin_site import AuditedAdmin, ReadOnlyAdmin
from saas.celery import wake

RIGHTS = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")

# They register their pages when imported, so first; then ours replace them.
for app in (
    *("allauth.account", "allauth.mfa", "allauth.usersessions"),
    *("axes", "django.contrib.auth"),
):
    import_module(f"{app}.admin")
for stock in (
    *(EmailAddress, Authenticator, UserSession, Group),
    *(AccessAttempt, AccessLog, AccessFailureLog),
):
    if admin.site.is_registered(stock):
        admin.site.unregister(stock)


@admin.register(User)
class PersonAdmin(AuditedAdmin[User]):
    needs_reason = True
    list_display = ("email", "name", "is_staff", "is_active", "last_login", "date_joined")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("email", "last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "name", "time_zone", "last_login", "date_joined")}),
        ("Rights", {"fields": RIGHTS}),
    )
    actions = ("end_sessions",)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        may_give = request.user.is_superuser and (obj is None or obj.pk != request.user.pk)
        return self.readonly_fields if may_give else (*self.readonly_fields, *RIGHTS)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:  # noqa: ARG002
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if set(form.changed_data) & set(RIGHTS):
            obj.privileges_changed_at = timezone.now()
        super().save_model(request, obj, form, change)
        if not obj.is_active:
            sessions.end_all(obj)

    @admin.action(description="End all sessions of the selected people", permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for person in queryset:
            ended = sessions.end_all(person)
            self.record(request, "sessions_ended", person, changes={"sessions": [ended, 0]})
        self.message_user(request, "Their sessions have ended.", messages.SUCCESS)


@admin.register(Brand)
class BrandAdmin(AuditedAdmin[Brand]):
    needs_reason = True
    list_display = ("name", "slug", "email", "created_at", "erase_requested_at")
    search_fields = ("name", "slug", "email")
    date_hierarchy = "created_at"
    readonly_fields = ("slug", "created_at", "erase_requested_at", "members", "journal")
    fields = ("name", "email", "time_zone", *readonly_fields)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Brand | None = None) -> bool:  # noqa: ARG002
        return False

    @admin.display(description="members")
    def members(self, brand: Brand) -> str:
        url = f"{reverse('admin:accounts_membership_changelist')}?q={brand.slug}"
        rows = Membership.objects.filter(brand=brand).select_related("user").order_by("pk")[:50]
        lines = format_html_join(", ", "{} ({})", ((m.user.email, m.role) for m in rows))
        return format_html('{} <a href="{}">All</a>', lines, url)

    @admin.display(description="journal")
    def journal(self, brand: Brand) -> str:
        url = f"{reverse('admin:auditlog_logentry_changelist')}?brand={brand.pk}"
        return format_html('<a href="{}">What happened in this brand</a>', url)


class MembershipForm(forms.ModelForm[Membership]):
    """Says what the database would refuse."""

    def clean_role(self) -> str:
        role: str = self.cleaned_data["role"]
        others = Membership.objects.filter(brand_id=self.instance.brand_id, role=Role.OWNER)
        was_owner = self.initial.get("role") == Role.OWNER
        if was_owner and role != Role.OWNER and not others.exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("A brand needs an owner. Make someone else one first.")
        return role


@admin.register(Membership)
class MembershipAdmin(AuditedAdmin[Membership]):
    """Access to a customer's data: every change asks for a reason."""

    needs_reason = True
    form = MembershipForm
    list_display = ("user", "brand", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "brand")
    search_fields = ("user__email", "brand__name", "brand__slug")
    readonly_fields = ("user", "brand", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        User.objects.filter(pk=obj.user_id).update(privileges_changed_at=timezone.now())


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin[Invitation]):
    list_display = ("email", "brand", "role", "created_at", "expires_at", "accepted_at")
    list_select_related = ("brand",)
    search_fields = ("email", "brand__name")


@admin.register(Mail)
class MailAdmin(ReadOnlyAdmin[Mail]):
    """The outbox. What mails say stays sealed."""

    list_display = ("subject", "to", "created_at", "sent_at", "attempts", "due_at", "gave_up_at")
    list_filter = ("sent_at", "gave_up_at")
    search_fields = ("to", "subject")
    exclude = ("text", "html")
    actions = ("try_again",)

    @admin.action(description="Try to send again", permissions=["operate"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Mail]) -> None:
        for mail in queryset.filter(sent_at=None):
            mail.due_at, mail.gave_up_at = timezone.now(), None
            mail.save(update_fields=["due_at", "gave_up_at"])
            self.record(request, "sent_again", mail)
            wake("accounts.mail.deliver", mail.pk)


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnlyAdmin[EmailAddress]):
    list_display = ("email", "user", "primary", "verified")
    list_filter = ("primary", "verified")
    search_fields = ("email",)


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnlyAdmin[Authenticator]):
    """A superuser may take away a lost second factor; nobody sees or makes one."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__email",)
    exclude = ("data",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        own = obj is not None and obj.user_id == request.user.pk
        return bool(request.user.is_superuser) and not own

    def delete_model(self, request: HttpRequest, obj: Authenticator) -> None:
        super().delete_model(request, obj)
        sessions.end_all(obj.user)


@admin.register(UserSession)
class UserSessionAdmin(ReadOnlyAdmin[UserSession]):
    list_display = ("user", "ip", "user_agent", "created_at", "last_seen_at")
    list_select_related = ("user",)
    search_fields = ("user__email", "ip")
    exclude = ("session_key", "data")
    actions = ("end",)

    @admin.action(description="End the selected sessions", permissions=["operate"])
    def end(self, request: HttpRequest, queryset: QuerySet[UserSession]) -> None:
        for session in queryset.select_related("user"):
            self.record(request, "session_ended", session.user)
            session.end()


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnlyAdmin[AccessAttempt]):
    """Failed logins. Deleting a row ends the wait that it caused."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start", "user_agent")
    search_fields = ("username", "ip_address")
    date_hierarchy = "attempt_time"
    exclude = ("get_data", "post_data")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyAdmin[AccessLog]):
    list_display = ("attempt_time", "username", "ip_address", "logout_time", "user_agent")
    search_fields = ("username", "ip_address")
    date_hierarchy = "attempt_time"
    exclude = ("session_hash",)


@admin.register(Group)
class GroupAdmin(AuditedAdmin[Group]):
    """Bundles of staff rights; superusers make them."""

    needs_reason = True
    search_fields = ("name",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return bool(request.user.is_superuser)
