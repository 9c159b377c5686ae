"""Changing what a subscription consists of, in the middle of a period.

Stripe's rule: credit the unused part of what was billed and charge the remaining part of what
replaces it, each by the second, after discounts, and rounded to the minor unit. So credits never
exceed what was billed. A change of interval begins a new period now. On trial nothing was billed,
so nothing is prorated.
"""

import copy
from datetime import UTC, datetime

from sandbox.stripe import billing, discounts, documents, lifecycle, rating
from sandbox.stripe.context import Tx, public
from sandbox.stripe.errors import CardError, StripeError
from sandbox.stripe.money import TIMES, share
from sandbox.stripe.registry import Params
from sandbox.stripe.resources import prices
from sandbox.stripe.store import Obj


def change(tx: Tx, subscription: Obj, params: Params) -> CardError | None:
    """Edits the items and settles the difference as `proration_behavior` says. The error is the
    card's, when the change had to be paid at once and wasn't."""
    before = copy.deepcopy(lifecycle.items(subscription))
    edit(tx, subscription, params.get("items", []))
    restart = params.get("billing_cycle_anchor") == "now" or _interval_changed(before, subscription)
    behaviour = params.get("proration_behavior", "create_prorations")
    when = params.get("proration_date", tx.now)
    charged = subscription["status"] in ("active", "past_due")
    used = _used(tx, subscription, before, restart=restart) if charged else []
    if restart and subscription["status"] != "trialing":
        _restart(tx, subscription)
    if charged and behaviour != "none":
        for entry in differences(tx, subscription, before, when, restart=restart):
            put_aside(tx, subscription, entry)
    if charged and (restart or behaviour == "always_invoice"):
        pending = params.get("payment_behavior") == "pending_if_incomplete"
        return _invoice_now(tx, subscription, whole_period=restart, used=used, pending=pending)
    for entry in used:
        put_aside(tx, subscription, entry, proration=False)
    return None


def differences(
    tx: Tx, subscription: Obj, before: list[Obj], when: int, *, restart: bool
) -> list[Obj]:
    """The credit and the charge for every item that changed."""
    after = {item["id"]: item for item in lifecycle.licensed(subscription)}
    lines = []
    for old in before:
        if lifecycle.metered(old):
            continue
        new = after.pop(old["id"], None)
        if new is not None and not restart and _same(old, new):
            continue
        lines.append(_credit(tx, subscription, old, when))
        if new is not None and not restart:
            lines.append(_charge(tx, subscription, new, old, when))
    if not restart:
        lines += [_charge(tx, subscription, new, new, when) for new in after.values()]
    return [line for line in lines if line["amount"]]


def close(tx: Tx, subscription: Obj, *, prorate: bool, now: bool) -> None:
    """The last invoice of a subscription canceled at once: the unused time is credited."""
    if prorate and subscription["status"] in ("active", "past_due"):
        for item in lifecycle.licensed(subscription):
            line = _credit(tx, subscription, item, tx.now)
            if line["amount"]:
                put_aside(tx, subscription, line)
    if now:
        used = lifecycle.usage_lines(tx, subscription, lifecycle.items(subscription))
        _invoice_now(tx, subscription, whole_period=False, used=used)


def put_aside(tx: Tx, subscription: Obj, line: Obj, *, proration: bool = True) -> None:
    """An invoice item that waits for the subscription's next invoice."""
    details = {"subscription": subscription["id"], "subscription_item": _item_of(line)}
    entry = tx.new(
        "invoiceitem",
        amount=line["amount"],
        currency=line["currency"],
        customer=subscription["customer"],
        date=tx.now,
        description=line["description"],
        discountable=False,
        discounts=[],
        metadata={},
        net_amount=line["amount"],
        parent={"type": "subscription_details", "subscription_details": details},
        period=line["period"],
        pricing=line["pricing"],
        proration=proration,
        quantity=line["quantity"],
        quantity_decimal=line["quantity_decimal"],
        tax_rates=[],
        _subscription=subscription["id"],
    )
    line["parent"]["subscription_item_details"]["invoice_item"] = entry["id"]
    entry["_line"] = line
    tx.emit("invoiceitem.created", entry)


def edit(tx: Tx, subscription: Obj, entries: list[Obj]) -> None:
    from sandbox.stripe.resources import subscriptions

    rows = lifecycle.items(subscription)
    for position, entry in enumerate(entries):
        price = None
        if "price" in entry:
            param = f"items[{position}][price]"
            price = tx.get("price", entry["price"], param)
            if not entry.get("_scheduled"):  # it was checked when it was put on the schedule
                subscriptions.require_recurring(price, param)
            prices.unit_amount(price, subscription["currency"])
        if "id" not in entry:
            if price is None:
                raise StripeError(
                    "Missing required param: items[0][price].", code="parameter_missing"
                )
            rows.append(subscriptions.new_item(tx, subscription, price, entry))
            continue
        item = next((row for row in rows if row["id"] == entry["id"]), None)
        if item is None:
            raise StripeError(
                f"No such subscription_item: '{entry['id']}'", code="resource_missing",
                param=f"items[{position}][id]",
            )  # fmt: skip
        if entry.get("deleted"):
            rows.remove(item)
            continue
        if price is not None:
            item["price"] = public(price)
        subscriptions.set_quantity(item, entry)
        item["metadata"] |= entry.get("metadata") or {}
    if not rows:
        raise StripeError("A subscription must have at least one active item.", param="items")


def _restart(tx: Tx, subscription: Obj) -> None:
    subscription["billing_cycle_anchor"] = tx.now
    for item in lifecycle.items(subscription):
        lifecycle.advance(subscription, item, tx.now)


def _used(tx: Tx, subscription: Obj, before: list[Obj], *, restart: bool) -> list[Obj]:
    """What was used until now of metered items that go, get another price or a new period. What
    is used from now on is counted by itself."""
    after = {item["id"]: item for item in lifecycle.items(subscription)}
    lines = []
    for old in before:
        new = after.get(old["id"])
        if new is None or restart or new["price"]["id"] != old["price"]["id"]:
            lines += lifecycle.usage_lines(tx, subscription, [old])
            if new is not None:
                new["_used_from"] = tx.now
    return lines


def _invoice_now(
    tx: Tx, subscription: Obj, *, whole_period: bool, used: list[Obj], pending: bool = False
) -> CardError | None:
    """`pending`: nobody but the payer tries again, and a failure is no debt."""
    invoice = lifecycle.invoice_now(tx, subscription, whole_period=whole_period, used=used)
    if invoice is None:
        return None
    billing.finalize(tx, invoice)
    if invoice["status"] != "open" or invoice["collection_method"] != "charge_automatically":
        return None
    invoice["_pending"] = pending
    method = billing.method_for(tx, invoice)
    return billing.collect(tx, invoice, method, automatic=not pending)


def _credit(tx: Tx, subscription: Obj, item: Obj, when: int) -> Obj:
    """The unused part of what the item was billed for its period."""
    billed = item.get("_billed") or {"amount": 0, "start": when, "end": when}
    start, end = billed["start"], billed["end"]
    unused = share(billed["amount"], max(end - max(when, start), 0), end - start)
    return _line(tx, subscription, item, item, when, -unused)


def _charge(tx: Tx, subscription: Obj, item: Obj, clock: Obj, when: int) -> Obj:
    """The item's price for the rest of `clock`'s period, which is what it is now billed for."""
    start, end = clock["current_period_start"], clock["current_period_end"]
    amount = share(_net_price(tx, subscription, item), max(end - when, 0), end - start)
    item["_billed"] = {"amount": amount, "start": when, "end": end}
    return _line(tx, subscription, item, clock, when, amount)


def _net_price(tx: Tx, subscription: Obj, item: Obj) -> int:
    """What a whole period of the item costs beside the others, with the lasting discounts."""
    rows = lifecycle.licensed(subscription)
    lines = [lifecycle.period_line(tx, subscription, row) for row in rows]
    held = discounts.lasting(tx, discounts.current(tx, subscription))
    currency = subscription["currency"]
    rating.rate(lines, [discounts.effect(tx, found, currency) for found in held], None)
    return rating.net(lines[rows.index(item)])


def _line(tx: Tx, subscription: Obj, item: Obj, clock: Obj, when: int, amount: int) -> Obj:
    price = tx.get("price", item["price"]["id"])
    day = datetime.fromtimestamp(when, UTC).strftime("%-d %b %Y")
    name = tx.get("product", price["product"])["name"]
    words = "Unused time" if amount < 0 else "Remaining time"
    count = f"{item['quantity']} {TIMES} " if item["quantity"] > 1 else ""
    return documents.line(
        tx, amount=amount, currency=subscription["currency"], quantity=item["quantity"],
        price=price, item=item, description=f"{words} on {count}{name} after {day}",
        period=(when, clock["current_period_end"]), proration=True,
    )  # fmt: skip


def _same(old: Obj, new: Obj) -> bool:
    same_price: bool = old["price"]["id"] == new["price"]["id"]
    return same_price and bool(old.get("quantity") == new.get("quantity"))


def _interval_changed(before: list[Obj], subscription: Obj) -> bool:
    intervals = {item["id"]: lifecycle.interval(item) for item in lifecycle.items(subscription)}
    return any(
        intervals.get(old["id"], lifecycle.interval(old)) != lifecycle.interval(old)
        for old in before
    )


def _item_of(line: Obj) -> str:
    identifier: str = line["parent"]["subscription_item_details"]["subscription_item"]
    return identifier
