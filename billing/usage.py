"""What a brand used of a metered plan, reported to Stripe's meter exactly once.

`count` adds to the row of the hour, in the transaction that learned of the usage, so neither is
without the other. What counts is the subscription at that moment: a brand on no metered plan gets
no row, and what waits when a metered plan ends is written off, not billed under a later one.

A sweep gathers the rows of a brand into one batch: the whole units that they come to, the rest kept
for the next batch. It does so when an hour is over, and while a period is about to end. A batch is
a Stripe operation like any other write, and the sweep goes on with one that was given up, so an
outage of any length only delays it. Its event carries an identifier, by which Stripe refuses a
second copy. Of a batch that Stripe refuses for another reason the reports wait again.

Usage belongs to the period in which it happened. When that period was invoiced before the batch is
made, it counts at the start of the current one, and the batch says so (`late`). So nothing is sent
between a period's end and our knowing of the next one: an event of a period that is invoiced would
never be billed. Nor is a batch that an outage held back until its period was over. Stripe's sums
tell, once they are SETTLED, whether it arrived before; if it did not, its reports wait again too.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from billing import catalog, gateway, operations, standing, subscriptions
from billing.catalog import Metered
from billing.models import (
    LIVE_STATUSES,
    BillingAccount,
    StripeOperation,
    Subscription,
    Usage,
    UsageBatch,
)
from saas import audit
from saas.errors import Bug, Misconfigured, Refused, Retryable
from saas.money import Money
from saas.tenancy import everyone, in_scope, scope

log = structlog.get_logger(__name__)
PARTS = {"vpn_gigabytes": 10**9}  # of a unit: bytes
BATCH = 10_000  # rows in one batch
State = StripeOperation.State
NOT_AFTER = timedelta(minutes=4)  # Stripe takes events from five minutes ahead at most
SETTLED = timedelta(hours=1)  # after a period's end Stripe's sums hold all that was sent in it
SOON = timedelta(minutes=15)  # a period that ends so soon is reported at every sweep

_ADD = """
ON CONFLICT (brand_id, subscription, since) WHERE batch_id IS NULL
DO UPDATE SET quantity = t.quantity + excluded.quantity, at = greatest(t.at, excluded.at)"""
# A row holds one period only: an hour in which one ends has two. In the order of the brands, so
# that two reports can't wait for each other.
_COUNT = f"""
INSERT INTO billing_usage AS t (brand_id, subscription, since, quantity, at)
SELECT s.brand_id, s.stripe_id,
  greatest(date_trunc('hour', %(at)s::timestamptz, 'UTC'), s.current_period_start,
           CASE WHEN s.current_period_end <= %(at)s THEN s.current_period_end END),
  g.quantity, %(at)s
FROM unnest(%(brands)s::bigint[], %(quantities)s::bigint[]) AS g (brand_id, quantity)
JOIN billing_subscription s ON s.brand_id = g.brand_id
WHERE s.status = ANY(%(live)s) AND NOT s.duplicate AND s.plan = ANY(%(plans)s)
ORDER BY s.brand_id {_ADD}"""  # noqa: S608 - constants
_WAIT_AGAIN = f"""
WITH refused AS (DELETE FROM billing_usage WHERE brand_id = %s AND batch_id = %s RETURNING *)
INSERT INTO billing_usage AS t (brand_id, subscription, since, quantity, at)
SELECT brand_id, subscription, since, quantity, at FROM refused ORDER BY since {_ADD}"""  # noqa: S608


def count(used: Mapping[int, int], at: datetime) -> None:
    """Count the bytes that brands, by id, used at `at`, of those on a metered plan.

    Adds each time it is called: call it once for what is new, in the transaction that makes it
    known. Locks the brands' rows of the hour, in the order of the brands.
    """
    if not in_scope():
        raise Bug("usage counted outside of the transaction that learned of it")
    if not used:
        return
    values: dict[str, Any] = {
        "at": at,
        "brands": list(used),
        "quantities": list(used.values()),
        "live": list(LIVE_STATUSES),
        "plans": _counting(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)


def sweep(limit: int = 200) -> int:
    """Send what is due, of up to `limit` brands; return how many batches were made. Writes off what
    no plan counts any more. Safe to race."""
    now = timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    with everyone("usage that waits"):
        for given_up in StripeOperation.objects.filter(kind=EVENT.name, state=State.STUCK):
            operations.retry(given_up)
        waiting = Usage.objects.filter(batch=None)
        live = Subscription.objects.filter(status__in=LIVE_STATUSES, duplicate=False)
        counted = live.filter(plan__in=_counting())
        ending = counted.filter(current_period_end__lte=now + SOON)
        kept = Q(subscription__in=counted.values("stripe_id"))
        due = Q(at__lt=hour) | Q(subscription__in=ending.values("stripe_id"))
        over = _brands(waiting.exclude(kept), limit)
        brands = _brands(waiting.filter(kept & due), limit)
    for brand_id in over:
        _write_off(brand_id)
    return sum(flush(brand_id) for brand_id in brands)


def _brands(rows: QuerySet[Usage], limit: int) -> list[int]:
    return list(rows.values_list("brand_id", flat=True).distinct()[:limit])


def _counting() -> list[str]:
    return [plan.key for plan in catalog.PLANS.values() if plan.metered]


def flush(brand_id: int) -> bool:
    """Send what waits of a brand now; tell whether a batch was made. Call outside of any scope;
    never raises for Stripe's sake: the sweep goes on."""
    with scope(brand_id):
        batch = gather(brand_id)
    if batch is None or batch.operation is None:
        return False
    operations.execute(batch.operation)
    return True


def gather(brand_id: int) -> UsageBatch | None:
    """Put the waiting rows of the scope's brand into a batch, and write its intent.

    Locks the account, and the rows: what is counted meanwhile goes into a new one. None when
    nothing waits, when the plan counts nothing, when the period is over and the next one isn't
    known here yet, or while the batch before is on its way: of one batch at a time Stripe's sums
    tell whether it arrived.
    """
    account = standing.locked(brand_id)
    row = subscriptions.live()
    metered = metered_of(row)
    if row is None or metered is None or not account.stripe_customer:
        return None
    if row.current_period_end and row.current_period_end < timezone.now():
        return None
    last = UsageBatch.objects.select_related("operation").order_by("-pk").first()
    if last and last.operation and last.operation.state in (State.PENDING, State.STUCK):
        return None
    reports = list(_waiting(row).select_for_update(no_key=True).order_by("at", "pk")[:BATCH])
    if not reports:
        return None
    start = row.current_period_start
    total = sum(one.quantity for one in reports) + _rest(row)
    units, rest = divmod(total, PARTS[metered.event])
    at = min(max(reports[-1].at, start or reports[-1].at), timezone.now() + NOT_AFTER)
    batch: UsageBatch = UsageBatch.objects.create(
        subscription=row.stripe_id,
        units=units,
        rest=rest,
        at=at,
        late=bool(start and reports[0].at < start),
    )
    Usage.objects.filter(pk__in=[one.pk for one in reports]).update(batch=batch)
    if units:
        batch.operation = _begin(account, metered, batch)
        batch.save(update_fields=["operation"])
    return batch


def _waiting(row: Subscription) -> QuerySet[Usage]:
    return Usage.objects.filter(batch=None, subscription=row.stripe_id)


def _rest(row: Subscription) -> int:
    """What the batches of a subscription left over."""
    last = UsageBatch.objects.filter(subscription=row.stripe_id).order_by("-pk").first()
    return last.rest if last else 0


def _write_off(brand_id: int) -> None:
    """Strike what waits of a plan that counts no more; audited. Locks the account and the rows."""
    with scope(brand_id):
        account = standing.locked(brand_id)
        row = subscriptions.live()
        kept = row.stripe_id if row and metered_of(row) else ""
        rows = Usage.objects.filter(batch=None).exclude(subscription=kept)
        struck = list(rows.select_for_update())
        if not struck:
            return
        Usage.objects.filter(pk__in=[one.pk for one in struck]).delete()
        quantity = sum(one.quantity for one in struck)
        audit.record(
            "usage.written_off",
            account,
            actor=None,
            reason="the metered plan ended before it was reported",
            changes={"quantity": [quantity, 0]},
        )


def metered_of(row: Subscription | None) -> Metered | None:
    """What the plan of a subscription counts, if anything."""
    plan = catalog.PLANS.get(row.plan) if row else None
    return plan.metered if plan else None


@dataclass(frozen=True)
class Upcoming:
    """What this period's usage comes to so far."""

    unit: str
    used: int
    included: int
    cost: Money
    late: bool


def upcoming(brand_id: int) -> Upcoming | None:
    """Return the usage of the current period as counted here; None when the plan counts nothing.

    Call in the brand's scope. Whole units; what is on its way to Stripe is counted too.
    """
    row = subscriptions.live()
    metered = metered_of(row)
    if row is None or metered is None:
        return None
    batches = UsageBatch.objects.filter(brand_id=brand_id, subscription=row.stripe_id)
    if row.current_period_start:
        batches = batches.filter(at__gte=row.current_period_start)
    parts = (_waiting(row).aggregate(sum=Sum("quantity"))["sum"] or 0) + _rest(row)
    used = (batches.aggregate(sum=Sum("units"))["sum"] or 0) + parts // PARTS[metered.event]
    cost = max(used - metered.included, 0) * metered.prices[row.currency]
    late = batches.filter(late=True).exists()
    return Upcoming(metered.unit, used, metered.included, Money(cost, row.currency), late)


def _begin(account: BillingAccount, metered: Metered, batch: UsageBatch) -> StripeOperation:
    return operations.begin(
        EVENT,
        subject=f"usage batch {batch.pk}",
        params={
            "event_name": metered.event,
            "identifier": str(uuid.uuid4()),
            "timestamp": int(batch.at.timestamp()),
            "payload": {
                "stripe_customer_id": account.stripe_customer,
                "value": str(batch.units),
            },
        },
    )


def _is_over(operation: StripeOperation) -> bool:
    """Tell whether the period of an event is over, so that it would never be billed.

    Raises Retryable while the next period isn't known here, or Stripe's sums may not yet hold what
    was sent at the end of the last one. Without them a report could be billed twice.
    """
    if operation.brand_id is None:
        raise Bug("a meter event of no brand")
    with scope(operation.brand_id):
        batch = UsageBatch.objects.get(operation=operation)
        row = subscriptions.live()
    if row is None or metered_of(row) is None or row.stripe_id != batch.subscription:
        return True
    now, start, end = timezone.now(), row.current_period_start, row.current_period_end
    if end and end <= now:
        raise Retryable("stripe", after=60.0, detail="the next period isn't known yet")
    if start is None or batch.at >= start:
        return False
    left = (start + SETTLED - now).total_seconds()
    if left > 0:
        raise Retryable("stripe", after=left, detail="the sums of the last period aren't settled")
    return True


def _look_for_event(operation: StripeOperation) -> gateway.Object | None:
    """Stripe lists no meter events: its sum of the minute tells whether this one is in it.

    The sum holds all batches of that minute, so it is compared with what we know to have arrived.
    """
    params = operation.params
    minute = params["timestamp"] // 60 * 60
    customer = params["payload"]["stripe_customer_id"]
    meters = gateway.each("/v1/billing/meters", {"status": "active"})
    meter = next((one for one in meters if one["event_name"] == params["event_name"]), None)
    if meter is None:
        raise Misconfigured(f"Stripe has no active meter of {params['event_name']} events")
    asked = {"customer": customer, "start_time": minute, "end_time": minute + 60}
    found = gateway.each(f"/v1/billing/meters/{meter['id']}/event_summaries", asked)
    there = sum(int(one["aggregated_value"]) for one in found)
    return {"identifier": params["identifier"]} if there > _arrived(operation, minute) else None


def _arrived(operation: StripeOperation, minute: int) -> int:
    """The units of other batches of the minute that Stripe has confirmed."""
    with everyone("what arrived at a meter"):
        done = StripeOperation.objects.filter(
            brand_id=operation.brand_id,
            kind=EVENT.name, state=State.DONE,
            params__timestamp__gte=minute, params__timestamp__lt=minute + 60,
        )  # fmt: skip
        return sum(int(one.params["payload"]["value"]) for one in done.exclude(pk=operation.pk))


def _refused(operation: StripeOperation) -> None:
    """Let the reports of a refused event wait again, in the transaction that notes the refusal."""
    batch = UsageBatch.objects.get(operation=operation)
    params = operation.params
    quantity = batch.reports.aggregate(sum=Sum("quantity"))["sum"] or 0
    batch.rest += batch.units * PARTS[params["event_name"]] - quantity
    batch.units = 0
    batch.save(update_fields=["units", "rest"])
    with connection.cursor() as cursor:
        cursor.execute(_WAIT_AGAIN, [batch.brand_id, batch.pk])
    log.error("billing.usage_refused", batch=batch.pk, code=operation.error_code)


def _is_there(refusal: Refused) -> bool:
    """Tell whether a refusal says that the event arrived before: Stripe's code, which it sends with
    its newer API alone, or its words."""
    known = refusal.message.startswith("An event already exists with identifier")
    return known or refusal.code == "duplicate_meter_event"


EVENT = operations.register(
    operations.Kind(
        "meter.event",
        "/v1/billing/meter_events",
        _look_for_event,
        refusal=_refused,
        is_there=_is_there,
        is_over=_is_over,
    )
)
