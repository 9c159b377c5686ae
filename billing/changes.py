"""Changing a plan: other plan, seats or interval, with Stripe's own preview of what it costs.

What gives at least as much happens at once: the rest of the period is settled today. What takes
something away, or shortens the interval, waits for the end of the period that is paid for, in a
schedule at Stripe. The currency stays that of the subscription. When the card's bank wants to hear
the payer first, the change waits for that (billing.pending). On trial nothing is paid for yet, so
every change is at once, and only to a plan that can be tried.

A preview is a signed promise: `change` sends the same items with the same proration date, so Stripe
charges what it said, to the minor unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from django.core import signing
from django.utils import timezone

from accounts.models import Brand, User
from billing import (
    catalog,
    change_intents,
    checkout,
    gateway,
    operations,
    pending,
    projection,
    promotions,
    schedules,
    standing,
    subscriptions,
    sums,
    usage,
)
from billing.catalog import Limits, Offer
from billing.models import PromotionCode, StripeOperation, Subscription
from saas import audit
from saas.errors import Refused, Retryable
from saas.money import Money
from saas.tenancy import scope

PROMISED_SECONDS = 15 * 60
SALT = "billing.change"
PAY_FIRST = "A payment is open. Pay it first, then you can change your plan."
Outcome = Literal["done", "planned", "asked"]  # now, at the period's end, once the bank has agreed
LABELS = {
    "leads": "Leads brought in",
    "connections": "SmartLead accounts",
    "devices": "VPN devices",
    "members": "People",
    "history_days": "Days of message history",
}


@dataclass(frozen=True)
class Loss:
    """A limit that becomes smaller, named as in `catalog.Limits`."""

    name: str
    before: int | None
    after: int | None

    @property
    def label(self) -> str:
        return LABELS.get(self.name, self.name)


@dataclass(frozen=True)
class Preview:
    """What a change would do. `today` is charged now, or kept as credit when below zero;
    `credit_used` is what credit takes off the next invoice, whose charge is `following`;
    `counting`: what is used of a metered plan until the change is added to `today`; `promise` is
    what `change` wants back."""

    offer: Offer
    at: datetime | None
    today: Money
    lines: list[sums.Line]
    following: Money
    credit_used: Money
    following_at: datetime | None
    losses: list[Loss]
    counting: bool
    promise: str

    @property
    def at_once(self) -> bool:
        return self.at is None

    @property
    def credit(self) -> bool:
        return self.today.minor < 0

    @property
    def settled(self) -> Money:
        """What is charged or credited, without its sign."""
        return -self.today if self.credit else self.today


def current(row: Subscription) -> Offer | None:
    """Return what a subscription is for; None for a plan that is no longer in the catalog."""
    plan = catalog.PLANS.get(row.plan)
    if plan is None or row.interval not in catalog.INTERVALS:
        return None
    interval: catalog.Interval = "year" if row.interval == "year" else "month"
    return Offer(plan, interval, row.currency, row.seats)


def planned(row: Subscription) -> Offer | None:
    """Return what a subscription becomes at its period's end by a planned change, if any."""
    if not row.schedule:
        return None
    return catalog.offer(row.next_plan, row.next_interval, row.currency, row.next_seats)


def losses(before: Limits, after: Limits) -> list[Loss]:
    """Return the limits that become smaller. Pure."""
    return [
        Loss(one.name, getattr(before, one.name), getattr(after, one.name))
        for one in fields(Limits)
        if catalog.amount_of(after, one.name) < catalog.amount_of(before, one.name)
    ]


def waits(before: Offer, after: Offer) -> bool:
    """Tell whether a change must wait for the end of the period that is paid for. Pure."""
    shorter = before.interval == "year" and after.interval == "month"
    return shorter or bool(losses(before.limits, after.limits))


def preview(
    *, brand: Brand, plan: str, interval: str, seats: int | None, code: str = ""
) -> Preview:
    """Ask Stripe what a change would cost; call outside of any scope. Changes nothing, but sends
    what was used of a metered plan so far, for the change settles it.

    `code` is a promotion code that the person typed. Raises Refused("no_subscription" |
    "past_due" | "unknown_plan" | "no_change" | "ending" | "planned" | "on_its_way" |
    "not_on_trial" | "unknown_code"), Retryable, Misconfigured.
    """
    row, before, after = _wanted(brand, plan, interval, seats)
    with scope(brand):
        change_intents.require_answered(row)
    if before.plan.metered:
        usage.flush(brand.pk)
    subscription = gateway.get(f"/v1/subscriptions/{row.stripe_id}")
    items = _items(subscription, after)
    found = promotions.find(code) if code else None
    kept, discounts = _discounts(subscription, found)
    later = waits(before, after) and not row.on_trial
    now = int(timezone.now().timestamp())
    asked = {"subscription": row.stripe_id, "discounts": discounts}
    settled = None if later else _settled(asked, items, now)
    if settled and found and found.duration == "once" and _used(settled, kept):
        asked["discounts"] = kept
    following = _invoice(asked, items, "none", now)
    promise = {"subscription": row.stripe_id, "version": row.version, "at": now}
    promise |= {"plan": plan, "interval": interval, "seats": after.seats, "items": items}
    promise |= {"discounts": discounts if found else []}
    new_period = settled is not None and before.interval != after.interval
    return Preview(
        offer=after,
        at=row.current_period_end if later else None,
        **sums.charged(settled, following),
        following_at=None if new_period else row.current_period_end,
        losses=losses(before.limits, after.limits),
        counting=before.plan.metered is not None and settled is not None,
        promise=signing.dumps(promise, salt=SALT, compress=True),
    )


def change(*, brand: Brand, promise: str, actor: User) -> Outcome:
    """Carry out what a preview promised; call outside of any scope. Safe to repeat; audited.

    Raises Refused("out_of_date": preview again; "on_its_way": another change; "no_subscription",
    "past_due", "ending", "waiting", Stripe's own reasons, a declined card among them: then nothing
    changed), Retryable, Misconfigured.
    """
    agreed = _agreed(promise)
    row, before, after = _wanted(brand, agreed["plan"], agreed["interval"], agreed["seats"])
    later = waits(before, after) and not row.on_trial
    with scope(brand):
        standing.locked(brand.pk)
        change_intents.require_alone(row, agreed)
        operation = (
            schedules.begin(row, agreed) if later else change_intents.begin(row, before, agreed)
        )
        audit.record(
            "plan.change_planned" if later else "plan.change_asked",
            row,
            actor=actor,
            changes={"plan": [_name(before), _name(after)]},
        )
    if later:
        try:
            schedules.carry_out(brand, operation)
        except Refused:
            _look(row)
            raise
        _look(row)
        return "planned"
    made = change_intents.settle(brand, operation)
    _look(row)
    return "asked" if made.get("pending_update") else "done"


def _look(row: Subscription) -> None:
    """Show the outcome at once where Stripe answers; its event brings it anyway."""
    with suppress(Retryable):
        projection.subscription(row.stripe_id)


def _name(offer: Offer) -> str:
    seats = f" x {offer.seats}" if offer.plan.seats else ""
    return f"{offer.plan.key}{seats}, a {offer.interval}"


def keep(*, brand: Brand, actor: User) -> None:
    """Take back a change that waits for the period's end or for the bank. Safe to repeat; audited.

    Raises Refused("too_late") when the change has been made meanwhile, "paid" when the bank has
    agreed to it, "on_its_way" when Stripe has not answered it yet, "no_subscription"; Retryable,
    Misconfigured.
    """
    with scope(brand):
        standing.locked(brand.pk)
        row = subscriptions.live()
        if row is None:
            raise Refused("no_subscription", "There is no plan to stay on.")
        operation = _begin_taking_back(row)
        if operation:
            audit.record("plan.change_taken_back", row, actor=actor)
        else:
            _require_kept(row)
            return
    try:
        operations.run(operation)
    except Refused as e:
        if operation.kind != pending.VOID.name:
            raise
        raise Refused("paid", "It can't be taken back any more: the payment is done.") from e
    finally:
        _look(row)
    with scope(brand):
        row.refresh_from_db()
        _require_kept(row)


def _begin_taking_back(row: Subscription) -> StripeOperation | None:
    if row.schedule:
        return schedules.begin_release(row.stripe_id, row.schedule)
    return pending.begin_taking_back(row) if row.waits else None


def _require_kept(row: Subscription) -> None:
    """Raise Refused unless it is true that the plan stays as it was before its last change."""
    change_intents.require_answered(row)
    now = current(row)
    if now and now == change_intents.last(row):
        raise Refused("too_late", f"It is too late: you are on {now.plan.name} already.")


def _wanted(
    brand: Brand, plan: str, interval: str, seats: int | None
) -> tuple[Subscription, Offer, Offer]:
    with scope(brand):
        row = subscriptions.live()
    if row and row.status == "past_due":
        raise Refused("past_due", PAY_FIRST)
    if row is None or row.status not in ("active", "trialing"):
        raise Refused("no_subscription", "There is no paid plan to change.")
    if row.cancel_at_period_end:
        raise Refused("ending", "Your plan is about to end. Keep it first, then change it.")
    if row.schedule:
        raise Refused("planned", "A change is planned already. Take it back first.")
    if row.waits:
        raise Refused("waiting", "A change waits for your bank. Confirm it or take it back first.")
    before, after = current(row), catalog.offer(plan, interval, row.currency, seats)
    if before is None or after is None:
        raise Refused("unknown_plan", "This plan isn't for sale like this.")
    if before == after:
        raise Refused("no_change", "This is your plan already.")
    if row.on_trial and not after.plan.trial_days:
        words = f"{after.plan.name} can't be tried. Change to it when your trial is over."
        raise Refused("not_on_trial", words)
    return row, before, after


def _agreed(promise: str) -> dict[str, Any]:
    try:
        agreed: dict[str, Any] = signing.loads(promise, salt=SALT, max_age=PROMISED_SECONDS)
    except signing.BadSignature as e:
        raise Refused("out_of_date", "The prices shown are no longer of now. Look again.") from e
    return agreed


def _items(subscription: gateway.Object, after: Offer) -> list[dict[str, Any]]:
    """The items as they must become: the plan's in place, counted ones added and dropped."""
    main = projection.main_item(subscription)
    wanted, *counted = checkout.line_items(after)
    items = [{"id": main["id"], **wanted}]
    there = {item["price"]["id"]: item for item in subscription["items"]["data"]}
    kept = {item["price"] for item in counted}
    items += [item for item in counted if item["price"] not in there]
    items += [
        {"id": item["id"], "deleted": True}
        for price, item in there.items()
        if item["id"] != main["id"] and price not in kept
    ]
    return items


def _discounts(
    subscription: gateway.Object, code: PromotionCode | None
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The subscription's discounts, without and with that of a code that was typed."""
    kept = [{"discount": projection.reference(one)} for one in subscription.get("discounts") or []]
    return kept, [*kept, {"promotion_code": str(code.stripe_id)}] if code else kept


def _used(invoice: gateway.Object, kept: list[dict[str, str]]) -> bool:
    """Tell whether an invoice takes off anything by a discount that isn't among those kept."""
    others = {one["discount"] for one in kept}
    return any(
        one["amount"] and projection.reference(one["discount"]) not in others
        for one in invoice.get("total_discount_amounts") or []
    )


def _settled(asked: Mapping[str, Any], items: list[Any], at: int) -> gateway.Object | None:
    """The invoice of a change at once; None when there is nothing to bill (on a trial, say)."""
    try:
        return _invoice(asked, items, "always_invoice", at)
    except Refused as e:
        if e.code in ("invoice_upcoming_none", "resource_missing"):
            return None
        raise


def _invoice(asked: Mapping[str, Any], items: list[Any], behaviour: str, at: int) -> gateway.Object:
    details: dict[str, Any] = {"items": items, "proration_behavior": behaviour}
    if behaviour != "none":
        details["proration_date"] = at
    return gateway.preview({**schedules.given(**asked), "subscription_details": details})
