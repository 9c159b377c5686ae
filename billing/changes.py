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
    checkout,
    gateway,
    operations,
    pending,
    projection,
    promotions,
    schedules,
    standing,
    subscriptions,
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
class Line:
    text: str
    amount: Money


@dataclass(frozen=True)
class Preview:
    """What a change would do. `today` is charged now, or kept as credit when below zero; `promise`
    is what `change` wants back."""

    offer: Offer
    at: datetime | None
    today: Money
    lines: list[Line]
    following: Money
    following_at: datetime | None
    losses: list[Loss]
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
    "unknown_plan" | "no_change" | "ending" | "planned" | "not_on_trial" | "unknown_code"),
    Retryable, Misconfigured.
    """
    row, before, after = _wanted(brand, plan, interval, seats)
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
        today=Money(settled["total"] if settled else 0, row.currency),
        lines=_lines(settled) if settled else [],
        following=Money(following["total"], row.currency),
        following_at=None if new_period else row.current_period_end,
        losses=losses(before.limits, after.limits),
        promise=signing.dumps(promise, salt=SALT, compress=True),
    )


def change(*, brand: Brand, promise: str, actor: User) -> Outcome:
    """Carry out what a preview promised; call outside of any scope. Safe to repeat; audited.

    Raises Refused("out_of_date": preview again; "no_subscription", "ending", "waiting", Stripe's
    own reasons, a declined card among them: then nothing changed), Retryable, Misconfigured.
    """
    agreed = _agreed(promise)
    row, before, after = _wanted(brand, agreed["plan"], agreed["interval"], agreed["seats"])
    if (row.stripe_id, row.version) != (agreed["subscription"], agreed["version"]):
        raise Refused("out_of_date", "Your plan changed meanwhile. Look at the change again.")
    later = waits(before, after) and not row.on_trial
    with scope(brand):
        standing.locked(brand.pk)
        operation = schedules.begin(row, agreed) if later else _begin_change(row, agreed)
        audit.record(
            "plan.change_planned" if later else "plan.change_asked",
            row,
            actor=actor,
            changes={"plan": [_name(before), _name(after)]},
        )
    if later:
        schedules.carry_out(brand, operation)
        _look(row)
        return "planned"
    made = _settle(brand, operation, before, agreed)
    _look(row)
    return "asked" if made.get("pending_update") else "done"


def _settle(
    brand: Brand, operation: StripeOperation, before: Offer, agreed: Mapping[str, Any]
) -> gateway.Object:
    """Change at once; if the bank wants to hear the payer, ask again and let it wait for that."""
    try:
        return operations.run(operation)
    except Refused as e:
        if not pending.may_wait(e, before, agreed):
            raise
    with scope(brand):
        standing.locked(brand.pk)
        asked = pending.begin(operation)
    return operations.run(asked)


def _look(row: Subscription) -> None:
    """Show the outcome at once where Stripe answers; its event brings it anyway."""
    with suppress(Retryable):
        projection.subscription(row.stripe_id)


def _name(offer: Offer) -> str:
    seats = f" x {offer.seats}" if offer.plan.seats else ""
    return f"{offer.plan.key}{seats}, a {offer.interval}"


def keep(*, brand: Brand, actor: User) -> None:
    """Take back a change that waits for the period's end or for the bank. Safe to repeat; audited.

    Raises Refused("paid") when the bank agreed in the meantime: then the change holds.
    """
    with scope(brand):
        standing.locked(brand.pk)
        row = subscriptions.live()
        if row is None or not (row.schedule or row.waits):
            return
        if row.schedule:
            operation = schedules.begin_release(row.stripe_id, row.schedule)
        else:
            operation = pending.begin_taking_back(row)
        audit.record("plan.change_taken_back", row, actor=actor)
    try:
        operations.run(operation)
    except Refused as e:
        if operation.kind != pending.VOID.name:
            raise
        raise Refused("paid", "It can't be taken back any more: the payment is done.") from e
    finally:
        _look(row)


def _wanted(
    brand: Brand, plan: str, interval: str, seats: int | None
) -> tuple[Subscription, Offer, Offer]:
    with scope(brand):
        row = subscriptions.live()
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


def _lines(invoice: gateway.Object) -> list[Line]:
    currency = invoice["currency"]
    lines = [
        Line(line.get("description") or "", Money(line["amount"], currency))
        for line in invoice["lines"]["data"]
    ]
    discount = sum(one["amount"] for one in invoice.get("total_discount_amounts") or [])
    taxes = invoice.get("total_taxes") or []
    tax = sum(one["amount"] for one in taxes if one.get("tax_behavior") != "inclusive")
    if discount:
        lines.append(Line("Discount", Money(-discount, currency)))
    if tax:
        lines.append(Line("Tax", Money(tax, currency)))
    return lines


def _begin_change(row: Subscription, agreed: Mapping[str, Any]) -> StripeOperation:
    return operations.begin_once(
        CHANGE,
        subject=f"{row.stripe_id} at {agreed['at']}",
        params={
            "_subscription": row.stripe_id,
            "items": agreed["items"],
            "proration_behavior": "always_invoice",
            "proration_date": agreed["at"],
            "payment_behavior": "error_if_incomplete",
            **schedules.given(discounts=agreed["discounts"]),
        },
    )


def _look_changed(operation: StripeOperation) -> gateway.Object | None:
    found = gateway.get(f"/v1/subscriptions/{operation.params['_subscription']}")
    there = {(item["price"]["id"], item.get("quantity")) for item in found["items"]["data"]}
    wanted = {
        (item["price"], item.get("quantity"))
        for item in operation.params["items"]
        if not item.get("deleted")
    }
    return found if there == wanted else None


CHANGE = operations.register(
    operations.Kind(
        "subscription.change",
        "/v1/subscriptions/{_subscription}",
        _look_changed,
        give_up_when_stale=True,
        line="_subscription",
    )
)
