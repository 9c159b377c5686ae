"""Stripe's objects, fetched and projected into our rows, so that the newest fetch wins.

A fetch takes a ticket (a database sequence) before it asks Stripe, and is written only over rows
with a lower one. Every change at Stripe makes an event, every event a fetch that begins after the
change, so the highest ticket always carries the last change: duplicates, reordering and events of
one second are harmless, whatever is fetched meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from django.db import connection, models
from django.utils import timezone

from billing import card_trials, catalog, gateway, standing
from billing.models import LIVE_STATUSES, BillingAccount, Invoice, Subscription
from saas import audit
from saas.errors import Misconfigured
from saas.money import Money
from saas.tenancy import everyone, scope

log = structlog.get_logger(__name__)
EXPAND = [
    "default_payment_method",
    "customer.invoice_settings.default_payment_method",
    "items.data.price.currency_options",
    "schedule.phases.items.price",
    "discounts.source.coupon",
]


def ticket() -> int:
    """Draw the ticket of a fetch that begins now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('billing_fetch_ticket')")
        return int(cursor.fetchone()[0])


def brand_of(customer: str, metadata: Mapping[str, Any]) -> int | None:
    """Return the brand of a Stripe customer, or None when it isn't ours.

    Metadata helps only a brand that has no customer yet (the answer to its creation was lost).
    """
    with everyone("whose Stripe customer is it"):
        accounts = BillingAccount.objects.values_list("brand_id", flat=True)
        brand_id: int | None = accounts.filter(stripe_customer=customer).first()
        named = str(metadata.get("brand", ""))
        if brand_id is None and named.isdecimal() and len(named) < 19:
            brand_id = accounts.filter(brand_id=int(named), stripe_customer=None).first()
    return brand_id


def subscription(stripe_id: str) -> bool:
    """Fetch a subscription and project it, standing included; False when it isn't ours."""
    number = ticket()
    found = gateway.find(f"/v1/subscriptions/{stripe_id}", {"expand": EXPAND})
    if found is None:
        return False
    brand_id = brand_of(reference(found["customer"]), found.get("metadata") or {})
    if brand_id is None:
        from billing import left_behind  # it reads what it cancels, and imports this module

        return left_behind.end(found)
    latest = reference(found.get("latest_invoice"))
    with scope(brand_id):
        write_subscription(standing.locked(brand_id), found, number)
        unknown = bool(latest) and not Invoice.objects.filter(stripe_id=latest).exists()
    if unknown:  # its own event is late; a new subscriber wants to see it at once
        invoice(latest)
    return True


def write_subscription(account: BillingAccount, found: gateway.Object, number: int) -> None:
    """Write a fetched subscription over an older one, under the account's lock."""
    row = Subscription.objects.filter(stripe_id=found["id"]).first()
    if row and row.version >= number:
        return
    row = row or Subscription(brand_id=account.brand_id, stripe_id=found["id"])
    now = timezone.now()
    for name, value in _subscription_fields(found, row, now).items():
        setattr(row, name, value)
    row.version = number
    card_trials.judge(account, row, found.get("metadata") or {}, card_of(found))
    _make_room(row)
    row.save()
    card_trials.convert(account, row)
    standing.settle(account, now=now, reason=f"subscription {row.stripe_id} is {row.status}")


def _subscription_fields(found: gateway.Object, row: Subscription, now: datetime) -> dict[str, Any]:
    item = main_item(found)
    price = item["price"]
    seats = item.get("quantity") or 1
    past_due = found["status"] == "past_due"
    return {
        "status": found["status"],
        "plan": plan_of(price),
        "interval": (price.get("recurring") or {}).get("interval") or "month",
        "seats": seats,
        "currency": found["currency"],
        "amount": _unit_amount(price, found["currency"]) * seats,
        "current_period_start": moment(_of_period("start", item, found)),
        "current_period_end": moment(_of_period("end", item, found)),
        "cancel_at_period_end": ends(found),
        **_planned(found),
        **_pending(found),
        "discount": ", ".join(_discounts(found))[:120],
        **_trial(found, row),
        "past_due_since": (row.past_due_since or now) if past_due else None,
        "started_at": moment(found.get("start_date") or found["created"]),
        "ended_at": moment(found.get("ended_at")),
        "card": _name_of(card_of(found)),
    }


def _trial(found: gateway.Object, row: Subscription) -> dict[str, Any]:
    """The trial's end; one that moves is announced anew."""
    end = moment(found.get("trial_end"))
    told = row.trial_announced if end == row.trial_ends_at else None
    return {"trial_ends_at": end, "trial_announced": told}


def ends(found: gateway.Object) -> bool:
    """Tell whether a subscription ends with its period. By an update of ours it says so; ended in
    Stripe's portal it only names the moment, which may also be some periods ahead."""
    if found.get("cancel_at_period_end"):
        return True
    at, period_end = found.get("cancel_at"), _of_period("end", main_item(found), found)
    return at is not None and (period_end is None or at <= period_end)


def _of_period(which: str, item: gateway.Object, found: gateway.Object) -> int | None:
    """Older API versions, and some stand-ins, still have the period on the subscription."""
    name = f"current_period_{which}"
    value: int | None = item.get(name) or found.get(name)
    return value


def _planned(found: gateway.Object) -> dict[str, Any]:
    """What comes after this period by a schedule; empty when nothing does."""
    schedule = found.get("schedule")
    held = schedule if isinstance(schedule, dict) else {}
    phases = held.get("phases") or []
    now = (held.get("current_phase") or {}).get("end_date")
    coming = [phase for phase in phases if now is not None and phase["start_date"] >= now]
    planned = {"schedule": reference(schedule) if coming else ""}
    if not coming:
        return planned | {"next_plan": "", "next_interval": "", "next_seats": None}
    return {**planned, **_then("next", coming[0]["items"])}


def _pending(found: gateway.Object) -> dict[str, Any]:
    """The change that waits for its invoice to be paid; empty when none does."""
    update = found.get("pending_update") or {}
    items = update.get("subscription_items")
    if not items:
        none = {"pending_until": None, "pending_invoice": "", "pending_seats": None}
        return none | {"pending_plan": "", "pending_interval": ""}
    return {
        "pending_until": moment(update.get("expires_at")),
        "pending_invoice": reference(found.get("latest_invoice")),
        **_then("pending", items),
    }


def _then(when: str, items: list[gateway.Object]) -> dict[str, Any]:
    """What a subscription changes to; no plan when it is of staff's own making."""
    item = main_item({"items": {"data": items}})
    price = item["price"] if isinstance(item.get("price"), dict) else {}
    plan = _plan_behind(price)
    return {
        f"{when}_plan": plan.key if plan else "",
        f"{when}_interval": (price.get("recurring") or {}).get("interval") or "month",
        f"{when}_seats": item.get("quantity") or 1,
    }


def _discounts(found: gateway.Object) -> Iterator[str]:
    """What each discount of a subscription takes off, and until when, in words."""
    for discount in found.get("discounts") or []:
        source = discount.get("source") if isinstance(discount, dict) else None
        coupon = (source or {}).get("coupon")
        if not isinstance(coupon, dict):
            continue
        share, amount = coupon.get("percent_off"), coupon.get("amount_off")
        off = f"{share:g} %" if share else str(Money(amount or 0, coupon.get("currency") or "usd"))
        option = (coupon.get("currency_options") or {}).get(found["currency"]) or {}
        if option.get("amount_off"):
            off = str(Money(option["amount_off"], found["currency"]))
        end = moment(discount.get("end"))
        until = f" until {end:%-d %B %Y}" if end else ""
        once = " the next invoice" if coupon.get("duration") == "once" else ""
        yield f"{off} off{once}{until}"


def main_item(found: Mapping[str, Any]) -> dict[str, Any]:
    """The item that is the plan; what is counted beside it stands in an item of its own."""
    items: list[dict[str, Any]] = found["items"]["data"]
    if not items:
        raise Misconfigured(f"subscription {found.get('id')} has no item")
    licensed = (item for item in items if not is_metered(item["price"]))
    return next(licensed, items[0])


def is_metered(price: Any) -> bool:
    """Tell whether a price is billed by usage; one that is no more than an id is not."""
    recurring = price.get("recurring") if isinstance(price, dict) else None
    return (recurring or {}).get("usage_type") == "metered"


def _unit_amount(price: Mapping[str, Any], currency: str) -> int:
    """A price is written in its first currency; the others stand in its options."""
    if price["currency"] == currency:
        return int(price.get("unit_amount") or 0)
    option = (price.get("currency_options") or {}).get(currency) or {}
    return int(option.get("unit_amount") or 0)


def _make_room(row: Subscription) -> None:
    """Keep one live subscription per brand: the one that started first, of one second the one that
    is paid for; the other is cancelled."""
    if row.status not in LIVE_STATUSES or row.duplicate:
        return
    others = Subscription.objects.filter(status__in=LIVE_STATUSES, duplicate=False)
    other = others.exclude(stripe_id=row.stripe_id).first()
    if other is None:
        return
    from billing import subscriptions  # it projects what it changes, so it imports this module

    first = min(row, other, key=lambda one: (one.started_at, one.on_trial, one.stripe_id))
    second = other if first is row else row
    second.duplicate = True
    if second is other:
        other.save(update_fields=["duplicate"])
    else:
        card_trials.give_back(second)
    subscriptions.begin_cancel_duplicate(second)
    log.error("billing.duplicate_subscription", kept=first.stripe_id, cancelled=second.stripe_id)
    audit.record(
        "subscription.duplicate_found",
        BillingAccount.objects.get(),
        actor=None,
        reason=f"{second.stripe_id} beside {first.stripe_id}",
    )


def plan_of(price: Mapping[str, Any]) -> str:
    """Return the key of the plan behind a Stripe price; raise Misconfigured for a foreign one."""
    plan = _plan_behind(price)
    if plan is None:
        raise Misconfigured(f"price {price.get('id')} belongs to no plan of the catalog")
    return plan.key


def _plan_behind(price: Mapping[str, Any]) -> catalog.Plan | None:
    """An old price gives its lookup key up to the new one, but keeps its metadata."""
    named = (price.get("metadata") or {}).get("plan", "")
    return catalog.by_lookup_key(price.get("lookup_key")) or catalog.PLANS.get(named)


def card_of(found: gateway.Object) -> gateway.Object:
    """The card that will be charged: the subscription's, else the customer's; empty for none."""
    customer = found.get("customer")
    settings = customer.get("invoice_settings") if isinstance(customer, dict) else None
    for method in (
        found.get("default_payment_method"),
        (settings or {}).get("default_payment_method"),
    ):
        card = method.get("card") if isinstance(method, dict) else None
        if card:
            return dict(card)
    return {}


def _name_of(card: Mapping[str, Any]) -> str:
    if not card:
        return ""
    brand = str(card.get("brand", "card")).replace("_", " ").title()
    return f"{brand} ending in {card.get('last4', '')}"[:60]


def invoice(stripe_id: str) -> bool:
    """Fetch an invoice and project it; a deleted draft is forgotten. False when it isn't ours."""
    number = ticket()
    found = gateway.find(f"/v1/invoices/{stripe_id}")
    if found is None or found.get("deleted"):
        with everyone("a deleted draft invoice"):
            drafts = Invoice.objects.filter(stripe_id=stripe_id, status="draft")
            drafts.filter(version__lt=number).delete()
        return True
    brand_id = brand_of(reference(found["customer"]), {})
    if brand_id is None:
        return False
    with scope(brand_id):
        account = standing.locked(brand_id)
        _write(Invoice, found["id"], fields := _invoice_fields(found), number)
        paid_for = Subscription.objects.filter(stripe_id=fields["subscription"]).first()
        if paid_for:
            card_trials.convert(account, paid_for)
    return True


def _invoice_fields(found: gateway.Object) -> dict[str, Any]:
    details = (found.get("parent") or {}).get("subscription_details") or {}
    times = found.get("status_transitions") or {}
    return {
        "subscription": reference(details.get("subscription")),
        "number": found.get("number") or "",
        "status": found.get("status") or "draft",
        "currency": found["currency"],
        "total": found["total"],
        **_taxes(found),
        "discount": sum(one["amount"] for one in found.get("total_discount_amounts") or []),
        "amount_due": found["amount_due"],
        "amount_paid": found["amount_paid"],
        "issued_at": moment(times.get("finalized_at") or found["created"]),
        "paid_at": moment(times.get("paid_at")),
        "next_attempt_at": moment(found.get("next_payment_attempt")),
        "page_url": found.get("hosted_invoice_url") or "",
        "pdf_url": found.get("invoice_pdf") or "",
    }


def _taxes(found: gateway.Object) -> dict[str, Any]:
    """The taxes of an invoice, and by which of the customer's tax ids they were judged."""
    taxes = found.get("total_taxes") or []
    ids = [str(one.get("value") or "") for one in found.get("customer_tax_ids") or []]
    return {
        "tax": sum(one["amount"] for one in taxes),
        "reverse_charge": any(one.get("taxability_reason") == "reverse_charge" for one in taxes),
        "tax_ids": ", ".join(filter(None, ids))[:200],
    }


def _write(model: type[models.Model], stripe_id: str, fields: dict[str, Any], number: int) -> None:
    """Insert, or update a row with a lower ticket. Call under the account's lock."""
    rows = model._default_manager.filter(stripe_id=stripe_id)
    if rows.exists():
        rows.filter(version__lt=number).update(**fields, version=number)
    else:
        model._default_manager.create(stripe_id=stripe_id, **fields, version=number)


def customer(stripe_id: str) -> bool:
    """Fetch a customer: forget a deleted one, refresh the card of a changed one."""
    found = gateway.find(f"/v1/customers/{stripe_id}")
    gone = found is None or bool(found.get("deleted"))
    brand_id = brand_of(stripe_id, {})
    if brand_id is None:
        return False
    with scope(brand_id):
        account = standing.locked(brand_id)
        if gone:
            account.stripe_customer = None
            account.save(update_fields=["stripe_customer"])
            audit.record("customer.deleted", account, actor=None, reason="deleted at Stripe")
        live = Subscription.objects.filter(status__in=LIVE_STATUSES)
        known = list(live.values_list("stripe_id", flat=True))
    for subscription_id in known:
        if gone:
            _forget_subscription(brand_id, subscription_id)
        else:
            subscription(subscription_id)
    return True


def _forget_subscription(brand_id: int, stripe_id: str) -> None:
    """A deleted customer's subscription is cancelled at Stripe and can't be found by it again."""
    number, now = ticket(), timezone.now()
    with scope(brand_id):
        account = standing.locked(brand_id)
        Subscription.objects.filter(stripe_id=stripe_id, version__lt=number).update(
            status="canceled", ended_at=now, past_due_since=None, version=number
        )
        standing.settle(account, now=now, reason="the customer was deleted at Stripe")


def reference(value: Any) -> str:
    """Return the id of an object that may be expanded, "" for none."""
    if isinstance(value, dict):
        return str(value.get("id", ""))
    return str(value or "")


def moment(seconds: int | None) -> datetime | None:
    """Read a Stripe time stamp."""
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=UTC)
