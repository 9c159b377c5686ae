"""What subscriptions do by themselves: start, try, renew, fall behind, recover, end.

    incomplete ──paid──▶ active ──renewal fails──▶ past_due ──paid──▶ active
        │ 23 h            ▲  │ period end                │ retries used up
        ▼                 │  ▼ (cancel_at_period_end)    ▼
    incomplete_expired  trialing ──▶ canceled ◀── canceled | unpaid (a setting)

Every step happens at its own simulated moment: the clock calls the timers below in order of time.
Simplified against Stripe: renewals are always collected an hour after the draft, retries come
after 3, 5 and 7 days.
"""

from collections.abc import Callable, Sequence

from sandbox.stripe import billing, discounts, documents, rating, usage
from sandbox.stripe.context import Tx
from sandbox.stripe.money import TIMES
from sandbox.stripe.periods import DAY, period_end
from sandbox.stripe.registry import on_timer
from sandbox.stripe.resources import prices
from sandbox.stripe.store import Obj

ENDED = ("canceled", "incomplete_expired")
LIVE = ("active", "past_due", "unpaid", "trialing")
EXPIRE_INCOMPLETE_AFTER = 23 * 3600
NOTICE = 3 * DAY
UPCOMING = 7 * DAY
UPDATED = "customer.subscription.updated"
# Who is told before a renewal, after a change and at the end (schedules).
RENEWING: list[Callable[[Tx, Obj], None]] = []
CHANGED: list[Callable[[Tx, Obj], None]] = []
ENDING: list[Callable[[Tx, Obj], None]] = []


def begin(tx: Tx, subscription: Obj, extra: Sequence[Obj] = ()) -> Obj:
    """Announces a new subscription and makes its first invoice, finalized at once. Who is on
    trial starts trialing on an invoice of nothing; others wait, incomplete, for the payment.
    `extra` are lines for the first invoice only."""
    trial = subscription["trial_end"] is not None
    waits = not trial and subscription["collection_method"] == "charge_automatically"
    subscription["status"] = "trialing" if trial else "incomplete" if waits else "active"
    lines = [period_line(tx, subscription, item, trial=trial) for item in licensed(subscription)]
    lines += extra
    tx.emit("customer.subscription.created", subscription)
    invoice = _invoice(tx, subscription, lines, "subscription_create")
    if waits and invoice["amount_due"] > 0:
        tx.schedule(subscription, "subscription.expire", tx.now + EXPIRE_INCOMPLETE_AFTER)
    billing.finalize(tx, invoice)
    plan(tx, subscription)
    return invoice


def items(subscription: Obj) -> list[Obj]:
    rows: list[Obj] = subscription["items"]["data"]
    return rows


def metered(item: Obj) -> bool:
    """Billed by usage after the period, not by quantity before it."""
    return prices.metered(item["price"])


def licensed(subscription: Obj) -> list[Obj]:
    return [item for item in items(subscription) if not metered(item)]


def interval(item: Obj) -> tuple[str, int]:
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def plan(tx: Tx, subscription: Obj) -> None:
    """Puts the subscription's next moments on the clock. Safe to repeat after any change."""
    tx.unschedule(subscription, "subscription.turn", "subscription.notice", "subscription.upcoming")
    if subscription["status"] in ENDED or subscription["status"] in ("incomplete", "paused"):
        return
    turn = next_turn(subscription)
    tx.schedule(subscription, "subscription.turn", turn)
    if subscription["status"] == "trialing":
        notice = subscription["trial_end"] - NOTICE
        if notice > tx.now:
            tx.schedule(subscription, "subscription.notice", notice)
        else:
            notify_trial_end(tx, subscription)
    elif turn - UPCOMING > tx.now and not subscription["cancel_at_period_end"]:
        tx.schedule(subscription, "subscription.upcoming", turn - UPCOMING)


def next_turn(subscription: Obj) -> int:
    """When something happens next: the trial's or a period's end, or an earlier cancel_at."""
    turns: list[int] = [item["current_period_end"] for item in items(subscription)]
    if subscription["cancel_at"] is not None:
        turns.append(subscription["cancel_at"])
    return min(turns)


def end(tx: Tx, subscription: Obj, *, reason: str | None = "cancellation_requested") -> Obj:
    """Canceled, now. Open invoices stay open but nobody collects them; drafts are dropped."""
    tx.unschedule(subscription)
    subscription |= {
        "status": "canceled",
        "canceled_at": subscription["canceled_at"] or tx.now,
        "ended_at": tx.now,
        "_ended": True,
    }
    subscription["cancellation_details"]["reason"] = reason
    tx.store.save(subscription)
    for listener in ENDING:
        listener(tx, subscription)
    for invoice in tx.store.select("invoice", _subscription=subscription["id"]):
        if invoice["status"] in ("open", "draft"):
            billing.stop_collecting(tx, invoice)
    tx.emit("customer.subscription.deleted", subscription)
    return subscription


@on_timer("subscription.turn")
def turn(tx: Tx, subscription: Obj) -> None:
    """A period (or the trial) is over."""
    if subscription["cancel_at"] is not None and subscription["cancel_at"] <= tx.now:
        trial = subscription["status"] == "trialing"
        used = [] if trial else usage_lines(tx, subscription, items(subscription))
        end(tx, subscription)
        if used:
            _bill_later(tx, _invoice(tx, subscription, used, "subscription_cycle"))
    elif subscription["status"] == "trialing" and _ends_without_card(tx, subscription):
        pass
    else:
        renew(tx, subscription)


@on_timer("subscription.notice")
def notify_trial_end(tx: Tx, subscription: Obj) -> None:
    """Once for an end: three days before it, or at once when there are fewer left."""
    end = subscription["trial_end"]
    if subscription["status"] != "trialing" or subscription.get("_told") == end:
        return
    subscription["_told"] = end
    tx.store.save(subscription)
    tx.emit("customer.subscription.trial_will_end", subscription)


@on_timer("subscription.upcoming")
def notify_upcoming(tx: Tx, subscription: Obj) -> None:
    """`invoice.upcoming`: a preview without an id, a week before the renewal."""
    from sandbox.stripe import preview

    tx.emit("invoice.upcoming", preview.upcoming(tx, subscription))


@on_timer("subscription.expire")
def expire(tx: Tx, subscription: Obj) -> None:
    """Never paid for within 23 hours: incomplete_expired, and its invoice is void."""
    if subscription["status"] != "incomplete":
        return
    with tx.changing(subscription, UPDATED):
        subscription |= {"status": "incomplete_expired", "ended_at": tx.now, "_ended": True}
    invoice = tx.get("invoice", subscription["latest_invoice"])
    if invoice["status"] == "open":
        billing.void(tx, invoice)


def renew(tx: Tx, subscription: Obj) -> None:
    """Opens the next period of every item whose period ended, with a draft that is collected an
    hour later. An unpaid subscription gets drafts that nobody collects."""
    was_trial = subscription["status"] == "trialing"
    over = [item for item in items(subscription) if item["current_period_end"] <= tx.now]
    used = [] if was_trial else usage_lines(tx, subscription, over)
    with tx.changing(subscription, UPDATED):
        for listener in RENEWING:
            listener(tx, subscription)
        ended = [item for item in items(subscription) if item["current_period_end"] <= tx.now]
        if was_trial:
            subscription |= {"status": "active", "billing_cycle_anchor": tx.now}
        for item in ended:
            advance(subscription, item, tx.now)
        lines = [period_line(tx, subscription, item) for item in ended if not metered(item)]
        lines += used + pending_lines(tx, subscription)
        invoice = _invoice(tx, subscription, lines, "subscription_cycle")
        if subscription["status"] == "unpaid":
            invoice["auto_advance"] = False
        else:
            _bill_later(tx, invoice)
    plan(tx, subscription)


def _bill_later(tx: Tx, invoice: Obj) -> None:
    when = tx.now + billing.FINALIZE_AFTER
    invoice["automatically_finalizes_at"] = when
    tx.store.save(invoice)
    tx.schedule(invoice, "invoice.finalize", when)


def usage_lines(tx: Tx, subscription: Obj, rows: Sequence[Obj]) -> list[Obj]:
    """Lines for what the metered ones of these items used in their period, or in it so far."""
    return [_usage_line(tx, subscription, item) for item in rows if metered(item)]


def _usage_line(tx: Tx, subscription: Obj, item: Obj) -> Obj:
    price = tx.get("price", item["price"]["id"])
    start = max(item["current_period_start"], item.get("_used_from", 0))
    end = min(item["current_period_end"], tx.now)
    name = tx.get("product", price["product"])["name"]
    currency = subscription["currency"]
    line = documents.line(
        tx, amount=0, currency=currency, quantity=0, price=price, item=item, period=(start, end),
        description=f"{name} ({prices.describe(price, currency)})",
    )  # fmt: skip
    line["_usage"] = {
        "customer": subscription["customer"],
        "meter": price["recurring"]["meter"],
        "price": price["id"],
        "start": start,
        "end": end,
    }
    return line | usage.counted(tx, line)


def advance(subscription: Obj, item: Obj, start: int) -> None:
    """The item's period that begins at `start`, up to the next boundary from the anchor."""
    item["current_period_start"] = start
    item["current_period_end"] = period_end(
        subscription["billing_cycle_anchor"], *interval(item), start
    )


def pending_lines(tx: Tx, subscription: Obj) -> list[Obj]:
    """Lines for what was put aside for the next invoice (prorations); they're used up by it."""
    lines = []
    for entry in tx.store.select("invoiceitem", _subscription=subscription["id"], invoice=None):
        tx.store.run("DELETE FROM objects WHERE id = ?", entry["id"])
        lines.append(entry["_line"])
    return lines


def invoice_now(
    tx: Tx, subscription: Obj, *, whole_period: bool, used: Sequence[Obj] = ()
) -> Obj | None:
    """A draft of what was put aside and used (and of the period that begins now), outside the
    rhythm. None when there is nothing to bill."""
    lines = [*used, *pending_lines(tx, subscription)]
    if whole_period:
        lines += [period_line(tx, subscription, item) for item in licensed(subscription)]
    return _invoice(tx, subscription, lines, "subscription_update") if lines else None


def _invoice(tx: Tx, subscription: Obj, lines: list[Obj], reason: str) -> Obj:
    customer = tx.get("customer", subscription["customer"])
    starts = [row["period"]["start"] for row in lines]
    period = (min(starts, default=tx.now), tx.now)
    invoice = billing.draft(
        tx, customer, lines, currency=subscription["currency"], reason=reason, period=period,
        subscription=subscription, discounts=[d["id"] for d in discounts.current(tx, subscription)],
    )  # fmt: skip
    discounts.use_up(tx, subscription, invoice)
    _remember_billed(subscription, lines)
    subscription["latest_invoice"] = invoice["id"]
    tx.store.save(subscription)
    return invoice


def _remember_billed(subscription: Obj, lines: list[Obj]) -> None:
    """What each item's period was billed with, discounts off: a later credit is a part of that."""
    by_id = {item["id"]: item for item in items(subscription)}
    for row in lines:
        details = (row["parent"] or {}).get("subscription_item_details")
        if details and not details["proration"] and "_usage" not in row:
            by_id[details["subscription_item"]]["_billed"] = {
                "amount": rating.net(row),
                **row["period"],
            }


def period_line(tx: Tx, subscription: Obj, item: Obj, *, trial: bool = False) -> Obj:
    price, currency, quantity = item["price"], subscription["currency"], item["quantity"]
    product = tx.get("product", price["product"])
    whole_price = tx.get("price", price["id"])
    unit = prices.describe(whole_price, currency)
    text = (
        f"Trial period for {product['name']}"
        if trial
        else f"{quantity} {TIMES} {product['name']} ({unit})"
    )
    return documents.line(
        tx,
        amount=0 if trial else prices.line_amount(whole_price, currency, quantity),
        currency=currency,
        description=text,
        period=(item["current_period_start"], item["current_period_end"]),
        quantity=quantity,
        price=whole_price,
        item=item,
    )


def _ends_without_card(tx: Tx, subscription: Obj) -> bool:
    """A trial that ends with no card: cancels or pauses when the trial settings say so."""
    customer = tx.get("customer", subscription["customer"])
    default = customer["invoice_settings"]["default_payment_method"]
    if subscription["default_payment_method"] or default:
        return False
    match subscription["trial_settings"]["end_behavior"]["missing_payment_method"]:
        case "cancel":
            end(tx, subscription, reason=None)
        case "pause":
            with tx.changing(subscription):
                subscription["status"] = "paused"
            tx.emit("customer.subscription.paused", subscription)
            plan(tx, subscription)
        case _:
            return False
    return True


def _paid(tx: Tx, invoice: Obj) -> None:
    """A paid invoice starts an incomplete subscription and brings back one that fell behind."""
    subscription = tx.store.find(invoice["_subscription"]) if invoice["_subscription"] else None
    if subscription is None or subscription["status"] not in ("incomplete", "past_due", "unpaid"):
        return
    behind = tx.store.select("invoice", _subscription=subscription["id"], status="open")
    if subscription["status"] != "incomplete" and behind:
        return
    tx.unschedule(subscription, "subscription.expire")
    with tx.changing(subscription, UPDATED):
        subscription["status"] = "active"
    _set_delinquent(tx, subscription, delinquent=False)
    plan(tx, subscription)


def _failed(tx: Tx, invoice: Obj) -> None:
    """A failed renewal makes the subscription past due; the last one ends it, as the settings
    say (`dunning_end`: cancel, unpaid or past_due)."""
    subscription = tx.store.find(invoice["_subscription"]) if invoice["_subscription"] else None
    if subscription is None or subscription["status"] not in ("active", "past_due"):
        return
    if invoice.get("_pending"):
        return
    with tx.changing(subscription, UPDATED):
        subscription["status"] = "past_due"
    _set_delinquent(tx, subscription, delinquent=True)
    if invoice["next_payment_attempt"] is not None or not invoice["auto_advance"]:
        return
    match tx.store.meta("dunning_end", "cancel"):
        case "cancel":
            end(tx, subscription, reason="payment_failed")
        case "unpaid":
            with tx.changing(subscription, UPDATED):
                subscription["status"] = "unpaid"


def _set_delinquent(tx: Tx, subscription: Obj, *, delinquent: bool) -> None:
    customer = tx.get("customer", subscription["customer"])
    with tx.changing(customer, "customer.updated"):
        customer["delinquent"] = delinquent


billing.PAID.append(_paid)
billing.FAILED.append(_failed)
