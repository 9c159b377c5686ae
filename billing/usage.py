"""What a brand used of a metered plan, reported to Stripe's meter exactly once.

`report` writes a row; its key makes it safe to repeat. A sweep gathers the rows of a brand into one
batch: the whole units that they come to, the rest kept for the next batch. A batch is a Stripe
operation like any other write, and the sweep goes on with one that was given up, so an outage of
any length only delays it. Its event carries an identifier, by which Stripe drops a second copy.

Usage belongs to the period in which it happened. When that period was invoiced before the batch is
made, it counts at the start of the current one, and the batch says so (`late`). So nothing is sent
between a period's end and our knowing of the next one: an event of a period that is invoiced would
never be billed.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from billing import catalog, gateway, operations, standing, subscriptions
from billing.catalog import Metered
from billing.models import BillingAccount, StripeOperation, Subscription, Usage, UsageBatch
from saas.errors import Bug, Misconfigured
from saas.money import Money
from saas.tenancy import everyone, in_scope, scope

PARTS = {"vpn_gigabytes": 10**9}  # of a unit: bytes
BATCH = 10_000  # reports in one batch
State = StripeOperation.State
NOT_AFTER = timedelta(minutes=4)  # Stripe takes events from five minutes ahead at most

INSERT = """
INSERT INTO billing_usage (brand_id, key, quantity, at) VALUES (%s, %s, %s, %s)
ON CONFLICT (brand_id, key) DO NOTHING"""


def report(brand_id: int, quantity: int, key: str, at: datetime | None = None) -> bool:
    """Count `quantity` bytes that a brand used at `at` (now); False when the key was reported.

    Call in the brand's scope; it commits with the caller's transaction. Safe to repeat by `key`.
    """
    if not in_scope():
        raise Bug("usage reported outside of a brand's scope")
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [brand_id, key, quantity, at or timezone.now()])
        return bool(cursor.rowcount)


def sweep(limit: int = 200) -> int:
    """Send what waits, of up to `limit` brands; return how many batches were made. Safe to race."""
    counting = [plan.key for plan in catalog.PLANS.values() if plan.metered]
    with everyone("usage that waits"):
        for given_up in StripeOperation.objects.filter(kind=EVENT.name, state=State.STUCK):
            operations.retry(given_up)
        accounts = BillingAccount.objects.filter(plan__in=counting)
        waiting = Usage.objects.filter(batch=None, brand_id__in=accounts.values("brand_id"))
        brands = list(waiting.values_list("brand_id", flat=True).distinct()[:limit])
    made = 0
    for brand_id in brands:
        with scope(brand_id):
            batch = gather(brand_id)
        if batch and batch.operation:
            made += 1
            operations.execute(batch.operation)
    return made


def gather(brand_id: int) -> UsageBatch | None:
    """Put the waiting reports of the scope's brand into a batch, and write its intent.

    Locks the account. None when nothing waits, when the plan counts nothing (then the reports
    wait), when the period is over and the next one isn't known here yet, or while the batch before
    is on its way: of one batch at a time Stripe's sums tell whether it arrived.
    """
    account = standing.locked(brand_id)
    row = subscriptions.live()
    metered = metered_of(row)
    if row is None or metered is None or not account.stripe_customer:
        return None
    if row.current_period_end and row.current_period_end < timezone.now():
        return None
    reports = list(Usage.objects.filter(batch=None).order_by("at", "pk")[:BATCH])
    if not reports:
        return None
    start = row.current_period_start
    last = UsageBatch.objects.select_related("operation").order_by("-pk").first()
    if last and last.operation and last.operation.state in (State.PENDING, State.STUCK):
        return None
    total = sum(one.quantity for one in reports) + (last.rest if last else 0)
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
    last = UsageBatch.objects.order_by("-pk").first()
    waiting = Usage.objects.filter(batch=None).aggregate(sum=Sum("quantity"))["sum"] or 0
    parts = waiting + (last.rest if last else 0)
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


EVENT = operations.register(
    operations.Kind("meter.event", "/v1/billing/meter_events", _look_for_event)
)
