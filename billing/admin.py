"""Billing in the console: our rows, what Stripe told us, what we asked of it, and the mirror.

Nothing here is edited by hand: money and access move through services. Two actions let stuck work
go on.
"""

from __future__ import annotations

from typing import Any

import djstripe.admin  # noqa: F401 - registers its pages now, so that they can be replaced below
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from djstripe import models as mirror

from accounts.models import User
from billing import inbox, operations, promotions
from billing.models import (
    BillingAccount,
    CardTrial,
    Checkout,
    Invoice,
    PromotionCode,
    StripeInbox,
    StripeOperation,
    Subscription,
)
from saas import audit
from saas.money import Money


class ReadOnly(admin.ModelAdmin[Any]):
    """To look at, never to edit."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False


def _may_retry(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


@admin.register(BillingAccount)
class BillingAccountAdmin(ReadOnly):
    list_display = ("brand", "plan", "standing", "leads_used", "lead_quota", "trial_ends_at")
    list_filter = ("standing", "plan")
    search_fields = ("brand__name", "brand__slug", "stripe_customer")
    list_select_related = ("brand",)


@admin.register(CardTrial)
class CardTrialAdmin(ReadOnly):
    """Whose trial with a card was used: support looks here when one was refused."""

    list_display = ("subscription", "person", "of_brand", "started_at")
    search_fields = ("subscription", "person__email", "of_brand__name")
    list_select_related = ("person", "of_brand")


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly):
    list_display = ("brand", "plan", "status", "price", "current_period_end", "duplicate")
    list_filter = ("status", "plan", "duplicate", "cancel_at_period_end")
    search_fields = ("brand__name", "stripe_id")
    list_select_related = ("brand",)


@admin.register(Invoice)
class InvoiceAdmin(ReadOnly):
    list_display = ("number", "brand", "status", "money", "issued_at", "paid_at")
    list_filter = ("status", "currency")
    search_fields = ("brand__name", "number", "stripe_id")
    list_select_related = ("brand",)


@admin.register(Checkout)
class CheckoutAdmin(ReadOnly):
    list_display = ("brand", "plan", "currency", "state", "created_at", "expires_at")
    list_filter = ("state",)
    search_fields = ("brand__name", "session")
    list_select_related = ("brand",)


class Retrying(ReadOnly):
    """Read-only, with an action for what was given up."""

    actions = ("retry",)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return _may_retry(request)

    def _again(self, request: HttpRequest, rows: QuerySet[Any]) -> int:
        raise NotImplementedError

    @admin.action(description="Try again what was given up", permissions=["retry"])
    def retry(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        count = self._again(request, rows)
        self.message_user(request, f"{count} will be tried again.", messages.SUCCESS)


@admin.register(PromotionCode)
class PromotionCodeAdmin(ReadOnly):
    """Codes are made here and switched off; what they say never changes."""

    list_display = ("code", "off", "duration", "active", "times_redeemed", "expires_at")
    list_filter = ("active", "duration")
    search_fields = ("code", "name")
    fields = (
        "code", "name", "percent_off", "amounts_off", "duration", "months", "max_redemptions",
        "expires_at", "first_time_only",
    )  # fmt: skip
    actions = ("switch_off",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _may_retry(request)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return _may_retry(request)

    @admin.display(description="Takes off")
    def off(self, row: PromotionCode) -> str:
        if row.percent_off:
            return f"{row.percent_off} %"
        return ", ".join(str(Money(minor, code)) for code, minor in row.amounts_off.items())

    def save_model(self, request: HttpRequest, obj: PromotionCode, form: Any, change: bool) -> None:  # noqa: ARG002
        promotions.create(obj, actor=_actor(request))
        self.message_user(request, f"{obj.code} is on its way to Stripe.", messages.SUCCESS)

    @admin.action(description="Switch off", permissions=["retry"])
    def switch_off(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        sent = [row.code for row in rows if promotions.switch_off(row, actor=_actor(request))]
        words = (
            f"Stripe is told to take no more of {', '.join(sent)}." if sent else "None was there."
        )
        self.message_user(request, words, messages.SUCCESS)


def _actor(request: HttpRequest) -> User:
    person = _person(request)
    if person is None:
        raise PermissionDenied
    return person


@admin.register(StripeInbox)
class StripeInboxAdmin(Retrying):
    list_display = ("event_id", "type", "state", "attempts", "created", "received_at", "last_error")
    list_filter = ("state", "type")
    search_fields = ("event_id",)
    date_hierarchy = "received_at"

    def _again(self, request: HttpRequest, rows: QuerySet[Any]) -> int:
        parked = list(rows.filter(state=StripeInbox.State.PARKED))
        for row in parked:
            audit.record("stripe_event.retried", row, actor=_person(request))
        return inbox.retry([row.pk for row in parked])


@admin.register(StripeOperation)
class StripeOperationAdmin(Retrying):
    list_display = ("id", "kind", "subject", "state", "attempts", "created_at", "last_error")
    list_filter = ("state", "kind")
    search_fields = ("id", "subject")

    def _again(self, request: HttpRequest, rows: QuerySet[Any]) -> int:
        stuck = list(rows.filter(state=StripeOperation.State.STUCK))
        for row in stuck:
            audit.record("stripe_operation.retried", row, actor=_person(request))
            operations.retry(row)
        return len(stuck)


def _person(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


# --- dj-stripe's mirror: everything it registers goes, the useful part comes back read-only ------

MIRRORED: dict[type[Model], tuple[str, ...]] = {
    mirror.Event: ("id", "type", "created", "api_version"),
    mirror.Customer: ("id", "created", "livemode"),
    mirror.Subscription: ("id", "customer", "created"),
    mirror.Invoice: ("id", "customer", "created"),
    mirror.Charge: ("id", "customer", "created"),
    mirror.PaymentIntent: ("id", "customer", "created"),
    mirror.PaymentMethod: ("id", "customer", "created"),
    mirror.Product: ("id", "created"),
    mirror.Price: ("id", "product", "created"),
    mirror.Refund: ("id", "charge", "created"),
    mirror.Dispute: ("id", "created"),
}


class MirrorAdmin(ReadOnly):
    actions = None
    search_fields = ("id",)
    ordering = ("-created",)
    exclude = ("djstripe_owner_account",)
    show_full_result_count = False


def _show_mirror() -> None:
    for model in list(admin.site._registry):
        if model._meta.app_label == "djstripe":
            admin.site.unregister(model)
    for model, columns in MIRRORED.items():
        admin.site.register(model, type("MirrorOf", (MirrorAdmin,), {"list_display": columns}))


_show_mirror()
