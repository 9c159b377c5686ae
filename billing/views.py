"""Billing's pages of a brand. What talks to Stripe runs unscoped and answers with a redirect."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlsplit

import structlog
from csp.decorators import csp_update
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Brand
from accounts.requests import BrandRequest
from accounts.roles import Permission, allows, requires
from billing import (
    card_trials,
    catalog,
    change_intents,
    changes,
    checkout,
    currencies,
    pages,
    subscriptions,
)
from saas.celery import wake
from saas.errors import Misconfigured, Refused, Retryable
from saas.tenancy import scope

log = structlog.get_logger(__name__)
P = ParamSpec("P")
View = Callable[Concatenate[BrandRequest, P], HttpResponse]

ASK_AGAIN = "Try again in a minute."
CANCELS_LATER = "Your cancellation is kept, and is carried out by itself as soon as Stripe answers."
RESUMES_LATER = "Your plan is to go on: we tell Stripe by ourselves as soon as it answers."
CHANGES_LATER = "Your change is kept, and is carried out by itself as soon as Stripe answers."
CHANGED: dict[changes.Outcome, tuple[int, str]] = {
    "done": (messages.SUCCESS, "Your plan is changed."),
    "planned": (messages.SUCCESS, "Your plan changes at the end of the period."),
    "asked": (messages.INFO, "Your bank wants you to confirm the payment. Your plan changes then."),
}
LATE_AFTER = 5  # polls of the return page before we ask Stripe ourselves


def _stripe_pages() -> list[str]:
    """Where our forms may end up: a redirect counts as the form's target under form-action."""
    base = urlsplit(settings.STRIPE_API_BASE)
    own = ["https://checkout.stripe.com", "https://billing.stripe.com"]
    return own if base.hostname == "api.stripe.com" else [*own, f"{base.scheme}://{base.netloc}"]


def leads_to_stripe(view: View[P]) -> View[P]:
    """Allow the page's forms to end at Stripe's pages."""
    allowed = csp_update({"form-action": ["'self'", *_stripe_pages()]})
    return allowed(view)  # type: ignore[arg-type, return-value]


def _may_manage(request: BrandRequest) -> bool:
    return allows(request.membership.role, Permission.MANAGE_BILLING)


def tells_refusals(then: str) -> Callable[[View[P]], View[P]]:
    """Turn a refusal or an outage into a message on the billing page.

    `then` says what an outage means for what was asked: to be asked again, or kept and done later.
    """

    def guard(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: BrandRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            try:
                return view(request, *args, **kwargs)
            except Refused as e:
                messages.error(request, e.message)
            except Retryable:
                messages.error(request, f"We couldn't reach Stripe just now. {then}")
            except Misconfigured:
                log.exception("billing.misconfigured")
                messages.error(request, f"Payments are not available at the moment. {then}")
            return redirect("billing:overview", slug=request.brand.slug)

        return guarded

    return guard


@require_GET
@leads_to_stripe
@requires(Permission.VIEW_BILLING)
def overview(request: BrandRequest) -> HttpResponse:
    """Plan, use, next invoice, invoices."""
    context = pages.overview(request.brand.pk)
    subscription = context["subscription"]
    context |= {
        "coming": change_intents.on_its_way(subscription) if subscription else None,
        "may_manage": _may_manage(request),
    }
    return render(request, "billing/overview.html", context)


@require_GET
@leads_to_stripe
@requires(Permission.MANAGE_BILLING)
def subscribe(request: BrandRequest) -> HttpResponse:
    """The plans, with a button each that leads to Stripe Checkout."""
    if subscriptions.live():
        return redirect("billing:overview", slug=request.brand.slug)
    context = pages.overview(request.brand.pk) | choice(request)
    context |= {
        "left": "left" in request.GET,
        "trial_open": card_trials.is_open(request.brand.pk, request.user),
    }
    return render(request, "billing/subscribe.html", context)


def choice(request: HttpRequest) -> dict[str, Any]:
    """What the pages with prices show: the plans, and the currency and interval that were chosen.

    Without a choice the currency is that of the reader's country, as the browser names it.
    """
    interval = request.GET.get("interval")
    return {
        "plans": catalog.on_sale(),
        "currencies": catalog.CURRENCIES,
        "currency": currency_of(request.GET.get("currency"), request),
        "intervals": (("month", "Monthly"), ("year", "Yearly")),
        "interval": interval if interval in catalog.INTERVALS else "month",
    }


def currency_of(wanted: str | None, request: HttpRequest) -> str:
    """Return the currency that was asked for, or guess it."""
    if wanted in catalog.CURRENCIES:
        return wanted
    return currencies.guess(request.headers.get("Accept-Language", ""))


@require_POST
@requires(Permission.MANAGE_BILLING, scoped=False)
@tells_refusals(ASK_AGAIN)
def start_checkout(request: BrandRequest) -> HttpResponse:
    """Send the person to Stripe's payment page."""
    url = checkout.start(
        brand=_brand(request),
        plan=request.POST.get("plan", ""),
        currency=currency_of(request.POST.get("currency"), request),
        interval=request.POST.get("interval", "month"),
        seats=_number(request.POST.get("seats")),
        trial="trial" in request.POST,
        actor=request.user,
    )
    return HttpResponseRedirect(url, status=303)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 6 else None


@require_GET
@requires(Permission.MANAGE_BILLING)
def choose_change(request: BrandRequest) -> HttpResponse:
    """The plans again, each leading to a preview of what the change costs."""
    subscription = subscriptions.live()
    if subscription is None:
        return redirect("billing:subscribe", slug=request.brand.slug)
    if subscription.status == "past_due":
        messages.error(request, changes.PAY_FIRST)
        return redirect("billing:overview", slug=request.brand.slug)
    context = pages.overview(request.brand.pk) | choice(request)
    context |= {"currency": subscription.currency, "current": changes.current(subscription)}
    if "interval" not in request.GET:
        context["interval"] = subscription.interval
    return render(request, "billing/change.html", context)


@require_GET
@requires(Permission.MANAGE_BILLING, scoped=False)
@tells_refusals(ASK_AGAIN)
def preview_change(request: BrandRequest) -> HttpResponse:
    """What a change would cost, as Stripe says."""
    code = request.GET.get("code", "")
    try:
        preview = _preview(request, code)
    except Refused as e:
        if not code:
            raise
        messages.error(request, e.message)
        preview, code = _preview(request, ""), ""
    with scope(request.brand.pk):
        context = {
            "preview": preview,
            "subscription": subscriptions.live(),
            "code": code,
        }
        return render(request, "billing/preview.html", context)


def _preview(request: BrandRequest, code: str) -> changes.Preview:
    return changes.preview(
        brand=_brand(request),
        plan=request.GET.get("plan", ""),
        interval=request.GET.get("interval", ""),
        seats=_number(request.GET.get("seats")),
        code=code,
    )


@require_POST
@requires(Permission.MANAGE_BILLING, scoped=False)
@tells_refusals(CHANGES_LATER)
def apply_change(request: BrandRequest) -> HttpResponse:
    """Do what a preview promised."""
    promise = request.POST.get("promise", "")
    outcome = changes.change(brand=_brand(request), promise=promise, actor=request.user)
    level, words = CHANGED[outcome]
    messages.add_message(request, level, words)
    return redirect("billing:overview", slug=request.brand.slug)


@require_POST
@requires(Permission.MANAGE_BILLING, scoped=False)
@tells_refusals(CHANGES_LATER)
def keep_plan(request: BrandRequest) -> HttpResponse:
    """Take back a change that waits for the period's end or for the bank."""
    changes.keep(brand=_brand(request), actor=request.user)
    messages.success(request, "Your plan stays as it is.")
    return redirect("billing:overview", slug=request.brand.slug)


@require_POST
@requires(Permission.MANAGE_BILLING, scoped=False)
@tells_refusals(ASK_AGAIN)
def open_portal(request: BrandRequest) -> HttpResponse:
    """Send the person to Stripe's portal: cards, invoices, billing address."""
    url = checkout.portal(brand=_brand(request), actor=request.user)
    return HttpResponseRedirect(url, status=303)


@require_POST
@requires(Permission.MANAGE_BILLING, scoped=False)
@tells_refusals(CANCELS_LATER)
def cancel(request: BrandRequest) -> HttpResponse:
    """End the subscription with its period, or its trial."""
    reason = request.POST.get("reason", "").replace("\x00", "")[:200]
    subscriptions.cancel(brand=_brand(request), actor=request.user, reason=reason)
    with scope(request.brand.pk):
        row = subscriptions.live()
    words = "Your plan ends with the period you have paid for."
    if row and row.on_trial:
        words = "Your plan ends with its trial. You are charged nothing."
    elif row and row.past_due_since:
        words = "Your plan ends with its period. The open invoice goes on being collected."
    messages.success(request, words)
    return redirect("billing:overview", slug=request.brand.slug)


@require_POST
@requires(Permission.MANAGE_BILLING, scoped=False)
@tells_refusals(RESUMES_LATER)
def resume(request: BrandRequest) -> HttpResponse:
    """Take the cancellation back."""
    subscriptions.resume(brand=_brand(request), actor=request.user)
    messages.success(request, "Your plan goes on.")
    return redirect("billing:overview", slug=request.brand.slug)


@require_GET
@requires(Permission.VIEW_BILLING)
def returned(request: BrandRequest) -> HttpResponse:
    """Where Stripe Checkout leads back to; right before and after the webhook came."""
    return render(request, "billing/return.html", _confirmation(request))


@require_GET
@requires(Permission.VIEW_BILLING)
def return_status(request: BrandRequest) -> HttpResponse:
    """The part of the return page that asks again until the payment is confirmed."""
    context = _confirmation(request)
    if context["state"] == "waiting" and context["polls"] % LATE_AFTER == 0:
        wake("billing.checkout.refresh", context["session"])
    return render(request, "billing/confirmation.html", context)


def _confirmation(request: BrandRequest) -> dict[str, Any]:
    given = request.GET.get("polls", "")
    polls = int(given) if given.isascii() and given.isdecimal() and len(given) < 6 else 0
    context = pages.confirmation(request.brand.pk, request.GET.get("session", "")[:255])
    return {**context, "polls": polls + 1, "may_manage": _may_manage(request)}


def _brand(request: BrandRequest) -> Brand:
    with scope(request.brand.pk):
        return Brand.objects.get(pk=request.brand.pk)
