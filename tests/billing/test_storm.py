"""A year of many customers, told in the worst way: shuffled, three copies each, with forged and
stale ones among them, while the workers are killed. The projection must end where Stripe is.

HARBOR_STORM_CUSTOMERS sets how many (8; a customer's year is about 46 events).
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.models import Mail
from billing import catalog, checkout, gateway, inbox, operations
from billing.models import CardTrial, Invoice, StripeInbox, StripeOperation, Subscription
from saas.tenancy import everyone, scope
from tests.billing.conftest import Stripe, card, open_null, send
from tests.billing.signing import sign
from tests.factories import make_brand, make_user

pytestmark = [pytest.mark.slow, pytest.mark.chaos]

CUSTOMERS = int(os.environ.get("HARBOR_STORM_CUSTOMERS", "8"))
STEPS, DAYS = 36, 10.2  # of a year
COPIES, FORGED, DELAYED, KILLS = 3, 0.1, 0.2, 6
EVENTS = CUSTOMERS * 150  # about, copies and forged ones included
PLANS = ("leads_starter", "leads_growth", "leads_scale", "vpn_solo", "bundle_growth")


@pytest.fixture
def workers(live_db: Any) -> Iterator[list[subprocess.Popen[str]]]:
    """Two workers; what is killed is replaced by `replace`."""
    running = [start(live_db.name) for _ in range(2)]
    yield running
    for one in running:
        one.kill()
        one.wait()
        assert one.stdout is not None
        one.stdout.close()


def start(database: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.billing.drainer", database]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert worker.stdout is not None
    assert "READY" in worker.stdout.readline()
    return worker


def subscribe(stripe: Stripe, dice: random.Random) -> list[Any]:
    brands = []
    for number in range(CUSTOMERS):
        owner = make_user(email=f"owner{number}@example.test")
        brand = make_brand(owner=owner)
        plan = dice.choice(PLANS)
        tried = bool(number % 2 and catalog.plan(plan).trial_days)
        url = checkout.start(brand=brand, plan=plan, currency="usd", actor=owner, trial=tried)
        assert stripe.pay(url, card=card(1 + number // 4)).status_code == 303  # some share a card
        brands.append(brand)
    return brands


def live_a_year(stripe: Stripe, dice: random.Random) -> Iterator[list[dict[str, Any]]]:
    """Let a year go by in which people change their minds at Stripe; yield each step's deliveries,
    a part of them some steps late."""
    yield stripe.pending()  # how it began is known before any trial ends
    inbox.drain(seconds=60)
    late: list[list[dict[str, Any]]] = [[] for _ in range(STEPS + 3)]
    for step in range(STEPS):
        for held in stripe.objects("subscriptions", status="active"):
            act(held, step, dice)
        for operation in operations.due():  # a second trial with a card is being ended
            operations.execute(operation)
        stripe.advance(DAYS)
        for delivery in stripe.pending():
            late[step + (dice.randrange(4) if dice.random() < DELAYED else 0)].append(delivery)
        yield late[step]
    yield [delivery for rest in late[STEPS:] for delivery in rest]


def act(held: dict[str, Any], step: int, dice: random.Random) -> None:
    """Something that a customer does at Stripe, or nothing."""
    path = f"/v1/subscriptions/{held['id']}"
    what, key = dice.random(), f"{held['id']} {step}"
    if what < 0.04:
        gateway.write("post", path, {"cancel_at_period_end": True}, key=key)
    elif what < 0.1 and held["cancel_at_period_end"]:
        gateway.write("post", path, {"cancel_at_period_end": False}, key=key)
    elif what < 0.16:
        dies = "/v1/payment_methods/pm_card_chargeCustomerFail/attach"
        card = gateway.write("post", dies, {"customer": held["customer"]}, key=f"{key} card")
        gateway.write("post", path, {"default_payment_method": card["id"]}, key=key)


def forge(delivery: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """The same delivery with another body, by another's secret, or ten minutes old."""
    body = delivery["body"]
    match dice.randrange(3):
        case 0:
            changed = json.loads(body) | {"id": f"evt_forged{dice.randrange(10**9)}"}
            return {**delivery, "body": json.dumps(changed)}
        case 1:
            signature = sign(body, secret="whsec_of_somebody_else")
        case _:
            signature = sign(body, at=time.time() - 600)
    return {**delivery, "headers": {"Stripe-Signature": signature}}


def again(delivery: dict[str, Any]) -> dict[str, Any]:
    """The delivery as Stripe signs it when it sends it later."""
    return {**delivery, "headers": {"Stripe-Signature": sign(delivery["body"])}}


def rain(
    deliveries: list[dict[str, Any]],
    dice: random.Random,
    workers: list[subprocess.Popen[str]],
    database: str,
) -> None:
    """Post everything in any order; kill a worker now and then."""
    client = Client()
    storm = [(one, True) for one in deliveries * COPIES]
    storm += [
        (forge(one, dice), False) for one in dice.choices(deliveries, k=int(len(storm) * FORGED))
    ]
    dice.shuffle(storm)
    for delivery, true in storm:
        sent = again(delivery) if true else delivery  # signed now: a large storm takes a while
        assert send(sent, client).status_code == (200 if true else 400)
        if dice.random() < KILLS / EVENTS:
            victim = dice.randrange(len(workers))
            workers[victim].send_signal(signal.SIGKILL)
            workers[victim].wait()
            workers[victim] = start(database)


def settle() -> None:
    """What the sweeps do once the leases of the dead have run out."""
    for _ in range(3):
        with everyone("a test"):
            for rows in (StripeInbox.objects, StripeOperation.objects):
                rows.filter(state="pending").update(
                    lease_until=None, lease_token=None, next_attempt_at=timezone.now()
                )
        inbox.drain(seconds=600)
        for operation in operations.due():
            operations.execute(operation)


def projected(brand: Any) -> tuple[list[Any], list[Any]]:
    with scope(brand):
        rows = Subscription.objects.order_by("stripe_id")
        invoices = Invoice.objects.order_by("stripe_id")
        return (
            list(rows.values_list("stripe_id", "status", "cancel_at_period_end")),
            list(invoices.values_list("stripe_id", "status", "total", "amount_paid")),
        )


def at_stripe(stripe: Stripe) -> dict[str, tuple[list[Any], list[Any]]]:
    """What Stripe has of each brand, by its id, as `projected` has it."""
    found: dict[str, tuple[list[Any], list[Any]]] = {}
    owners = {}
    for one in stripe.objects("subscriptions", status="all"):
        owners[one["id"]] = brand = one["metadata"].get("brand", "")
        rows = found.setdefault(brand, ([], []))[0]
        rows.append((one["id"], one["status"], one["cancel_at_period_end"]))
    for one in stripe.objects("invoices"):
        owner = owners[one["parent"]["subscription_details"]["subscription"]]
        rows = found[owner][1]
        rows.append((one["id"], one["status"], one["total"], one["amount_paid"]))
    return {brand: (sorted(held), sorted(billed)) for brand, (held, billed) in found.items()}


def test_the_projection_ends_where_stripe_is(
    live_db: Any, stripe: Stripe, workers: list[subprocess.Popen[str]]
) -> None:
    dice = random.Random(20_261_127)
    call_command("sync_catalog", verbosity=0, stdout=open_null())
    brands = subscribe(stripe, dice)
    sent: set[str] = set()
    for deliveries in live_a_year(stripe, dice):
        sent |= {one["event"] for one in deliveries}
        rain(deliveries, dice, workers, live_db.name)
    assert len(sent) > CUSTOMERS * 30
    assert CardTrial.objects.exists()
    for one in workers:
        one.kill()
        one.wait()
    settle()
    for last in stripe.pending():  # of the trials that were ended meanwhile
        sent.add(last["event"])
        assert send(again(last)).status_code == 200
    settle()
    left = StripeInbox.objects.exclude(state="done").values_list("type", "state", "last_error")
    assert list(left) == []
    assert StripeInbox.objects.count() == len(sent)
    there = at_stripe(stripe)
    for brand in brands:
        assert projected(brand) == there[str(brand.pk)]
    moves_happened_once(brands)


def moves_happened_once(brands: list[Any]) -> None:
    """Each move begins where the one before ended, and each failed payment has its one mail."""
    failures = 0
    for brand in brands:
        with scope(brand):
            entries = LogEntry.objects.filter(additional_data__brand=brand.pk).order_by("pk")
            moves = [e.changes["standing"] for e in entries if "standing" in (e.changes or {})]
        for (_, after), (before, _) in itertools.pairwise(moves):
            assert after == before
        failures += sum(after == "past_due" for _, after in moves)
    assert failures
    assert Mail.objects.filter(subject__contains="failed").count() == failures
