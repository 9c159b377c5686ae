"""Subscribing by redirect: one open Stripe Checkout session per brand, reused, closed or completed.

A second click gets the same session; another plan or currency closes the first session at Stripe
before the next is made; a session that was paid meanwhile is recognised. So double and abandoned
Checkouts leave no second subscription (and `billing.projection` cancels one that a race at Stripe's
own pages would leave).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from accounts import privacy
from accounts.models import Brand, User
from billing import card_trials, catalog, customers, gateway, operations, projection, standing
from billing.catalog import Offer
from billing.models import LIVE_STATUSES, BillingAccount, Checkout, StripeOperation, Subscription
from saas import audit
from saas.errors import Misconfigured, Refused
from saas.tenancy import everyone, scope

MOST_TURNS = 5  # of closing what another tab opens meanwhile
SESSION_LIFE = timedelta(hours=24)  # Stripe's default
State = Checkout.State


def start(
    *,
    brand: Brand,
    plan: str,
    currency: str,
    actor: User,
    interval: str = "month",
    seats: int | None = None,
    trial: bool = False,
) -> str:
    """Return the address of Stripe's payment page for this plan; call outside of any scope.

    With `trial` it begins with the plan's free days, of the brand and of `actor`, who may have but
    one (billing.card_trials).

    Safe to repeat and to race: of clicks on different plans the last one's session stays open, and
    no click is answered with another plan's. Raises Refused("unknown_plan" | "already_subscribed" |
    "trial_used" | "brand_closed" | "other_choice": clicks on other plans kept coming), Retryable
    when Stripe doesn't answer, Misconfigured when the catalog isn't at Stripe.
    """
    chosen = _offer(catalog.offer(plan, interval, currency, seats), brand, actor, trial=trial)
    customer = customers.ensure(brand.pk)
    _learn_of_subscriptions(customer)
    items = line_items(chosen)
    for _ in range(MOST_TURNS):
        open_one = _open(brand.pk)
        if open_one:
            _settle(open_one, keep=chosen)
        with scope(brand):
            standing.locked(brand.pk)
            privacy.refuse_when_closed()
            refuse_when_subscribed()
            mine = Checkout.objects.filter(state=State.OPEN).select_related("operation").first()
            if mine is None:
                mine = _begin(brand, chosen, customer, items)
                audit.record("checkout.started", mine, actor=actor, changes={"plan": [None, plan]})
        if _is_of(mine, chosen):
            return str(operations.run(mine.operation)["url"])
    raise Refused("other_choice", "Another plan was chosen in the same moment. Choose again.")


def _offer(found: Offer | None, brand: Brand, actor: User, *, trial: bool) -> Offer:
    if found is None:
        raise Refused("unknown_plan", "This plan isn't for sale like this.")
    if not trial:
        return found
    card_trials.require(brand.pk, actor, found.plan)
    return replace(found, trial_of=actor.pk)


def refuse_when_subscribed() -> None:
    """Raise Refused when the scope's brand has a live subscription already. A duplicate is none: it
    grants nothing, and is being cancelled."""
    if Subscription.objects.filter(status__in=LIVE_STATUSES, duplicate=False).exists():
        raise Refused("already_subscribed", "You already have a plan. You find it under Billing.")


def _learn_of_subscriptions(customer: str) -> None:
    """A webhook may be late: ask Stripe itself before selling a second subscription."""
    for found in gateway.each("/v1/subscriptions", {"customer": customer}):
        projection.subscription(found["id"])


def _open(brand_id: int) -> Checkout | None:
    with scope(brand_id):
        rows = Checkout.objects.filter(state=State.OPEN).select_related("operation")
        found: Checkout | None = rows.first()
        return found


def _is_of(checkout: Checkout, chosen: Offer) -> bool:
    about = (checkout.plan, checkout.interval, checkout.currency, checkout.seats)
    wanted = (chosen.plan.key, chosen.interval, chosen.currency, chosen.seats)
    return (*about, checkout.trial_of_id) == (*wanted, chosen.trial_of)


def close(brand_id: int) -> None:
    """Close the brand's open payment page at Stripe, or learn that it was paid. Safe to repeat, and
    to race with a payer. Call outside of any scope.

    Raises Refused, Retryable or Misconfigured as `operations.run` does; the page may be open then.
    """
    open_one = _open(brand_id)
    if open_one:
        _settle(open_one, keep=None)


def _settle(checkout: Checkout, keep: Offer | None) -> None:
    """Learn at Stripe how far an open checkout is, and close it there unless it is for `keep`."""
    session = str(operations.run(checkout.operation)["id"])  # finishes one that was cut short
    refresh(session)
    with scope(checkout.brand_id):
        checkout = Checkout.objects.select_related("operation").get(pk=checkout.pk)
        if checkout.state != State.OPEN or (keep and _is_of(checkout, keep)):
            return
        standing.locked(checkout.brand_id)
        closing = operations.begin(EXPIRE, subject=session, params={"_session": session})
    try:
        operations.run(closing)
    except Refused:
        refresh(session)  # it was paid, or ran out, in this moment


def line_items(chosen: Offer) -> list[dict[str, Any]]:
    """What Stripe sells for an offer: the plan, and what is counted beside it."""
    items: list[dict[str, Any]] = [
        {"price": price_id(chosen.plan.lookup_key(chosen.interval)), "quantity": chosen.seats}
    ]
    if chosen.plan.metered:
        items.append({"price": price_id(chosen.plan.metered_key)})
    return items


def price_id(lookup_key: str) -> str:
    """Return Stripe's id of a price of the catalog; Misconfigured when it isn't there."""
    asked = gateway.each("/v1/prices", {"lookup_keys": [lookup_key], "active": True})
    found = next((price for price in asked if price.get("lookup_key") == lookup_key), None)
    if found is None:
        raise Misconfigured(f"Stripe has no price {lookup_key}: run manage.py sync_catalog")
    return str(found["id"])


def _begin(brand: Brand, chosen: Offer, customer: str, items: list[dict[str, Any]]) -> Checkout:
    now = timezone.now()
    about = {"brand": str(brand.pk), "plan": chosen.plan.key}
    params: dict[str, Any] = {
        "mode": "subscription",
        "customer": customer,
        "client_reference_id": str(brand.pk),
        "line_items": items,
        "allow_promotion_codes": True,
        "automatic_tax": {"enabled": settings.STRIPE_TAX},
        "billing_address_collection": "required",
        "tax_id_collection": {"enabled": True},
        "customer_update": {"name": "auto", "address": "auto"},
        "metadata": about,
        "subscription_data": {"metadata": about},
        "success_url": _page("billing:return", brand) + "?session={CHECKOUT_SESSION_ID}",
        "cancel_url": _page("billing:subscribe", brand) + "?left=1",
    }
    if chosen.trial_of:
        params |= card_trials.terms(chosen.plan, chosen.trial_of, about)
    if chosen.currency != catalog.DEFAULT_CURRENCY:
        params["currency"] = chosen.currency
    operation = operations.begin(
        CREATE, subject=f"brand {brand.pk} at {now.isoformat()}", params=params
    )
    checkout: Checkout = Checkout.objects.create(
        plan=chosen.plan.key,
        interval=chosen.interval,
        seats=chosen.seats,
        currency=chosen.currency,
        trial_of_id=chosen.trial_of,
        operation=operation,
        expires_at=now + SESSION_LIFE,
    )
    return checkout


def _page(name: str, brand: Brand) -> str:
    return f"{settings.PUBLIC_URL}{reverse(name, kwargs={'slug': brand.slug})}"


def refresh(session_id: str) -> bool:
    """Fetch a session and project it, its subscription included; False when it isn't ours."""
    session = gateway.find(f"/v1/checkout/sessions/{session_id}")
    if session is None:
        _forget(session_id)
        return False
    brand_id = projection.brand_of(
        projection.reference(session.get("customer")), session.get("metadata") or {}
    )
    if brand_id is None:
        return False
    subscription = projection.reference(session.get("subscription"))
    with scope(brand_id):
        # A session leaves "open" once and for good, so an older answer can't undo a newer one.
        if session.get("status") in (State.COMPLETE, State.EXPIRED):
            opened = Checkout.objects.filter(session=session_id, state=State.OPEN)
            opened.update(state=session["status"], subscription=subscription)
    return projection.subscription(subscription) if subscription else True


def _forget(session_id: str) -> None:
    """A session that Stripe doesn't have can't be paid; it must not hold the brand's one place."""
    with everyone("a checkout session that is gone"):
        opened = Checkout.objects.filter(session=session_id, state=State.OPEN)
        opened.update(state=State.EXPIRED)


def sweep(limit: int = 50) -> int:
    """Ask Stripe about open sessions whose time is over; return how many. Safe to repeat."""
    with everyone("checkout sessions that ran out"):
        over = Checkout.objects.filter(state=State.OPEN, expires_at__lt=timezone.now())
        sessions = list(over.exclude(session=None).values_list("session", flat=True)[:limit])
    for session in sessions:
        refresh(session)
    return len(sessions)


def portal(*, brand: Brand, actor: User) -> str:
    """Return the address of Stripe's portal for the brand; call outside of any scope."""
    customer = customers.ensure(brand.pk)
    with scope(brand):
        account: BillingAccount = standing.locked(brand.pk)
        operation = operations.begin(
            PORTAL,
            subject=f"brand {brand.pk}",
            params={"customer": customer, "return_url": _page("billing:overview", brand)},
        )
        audit.record("portal.opened", account, actor=actor)
    return str(operations.run(operation)["url"])


def _look_for_session(operation: StripeOperation) -> gateway.Object | None:
    made = gateway.each("/v1/checkout/sessions", {"customer": operation.params["customer"]})
    for session in made:
        if (session.get("metadata") or {}).get("operation") == str(operation.pk):
            return session
    return None


def _session_made(operation: StripeOperation, session: gateway.Object) -> None:
    Checkout.objects.filter(operation=operation).update(
        session=session["id"],
        url=session.get("url") or "",
        expires_at=projection.moment(session["expires_at"]),
    )


def _session_refused(operation: StripeOperation) -> None:
    Checkout.objects.filter(operation=operation).update(state=State.EXPIRED)


def _look_closed(operation: StripeOperation) -> gateway.Object | None:
    session = gateway.get(f"/v1/checkout/sessions/{operation.params['_session']}")
    return session if session.get("status") == "expired" else None


def _session_closed(_: StripeOperation, session: gateway.Object) -> None:
    Checkout.objects.filter(session=session["id"], state=State.OPEN).update(state=State.EXPIRED)


CREATE = operations.register(
    operations.Kind(
        "checkout.create",
        "/v1/checkout/sessions",
        _look_for_session,
        effect=_session_made,
        refusal=_session_refused,
        tagged=True,
        give_up_when_stale=True,
    )
)
EXPIRE = operations.register(
    operations.Kind(
        "checkout.expire",
        "/v1/checkout/sessions/{_session}/expire",
        _look_closed,
        effect=_session_closed,
    )
)
PORTAL = operations.register(
    operations.Kind(
        "portal.create",
        "/v1/billing_portal/sessions",
        lambda _: None,
        give_up_when_stale=True,
    )
)
