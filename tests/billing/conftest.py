"""Stripe as billing's tests see it: the sandbox, with deliveries that the test carries itself."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from tests.fixtures.processes import Sandbox

GOOD, DECLINED, FAILS_LATER = "4242424242424242", "4000000000000002", "4000000000000341"
DAY = 86_400


def card(number: int) -> str:
    """A Visa that works, another one for each number."""
    body = f"450000{number:09d}"  # Stripe's cards that fail begin with 400000
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(body))]
    total = sum(value - 9 if value > 9 else value for value in doubled)
    return f"{body}{-total % 10}"


class Stripe:
    """The stand-in for Stripe. Its webhooks are held back until `deliver`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def control(self, path: str, body: Any = None, method: str = "") -> Any:
        return self.sandbox.control("stripe", path, body, method)

    def pay(self, url: str, card: str = GOOD, **more: str) -> httpx.Response:
        """Fill in the payment page as a customer does, from a place where we collect no tax; the
        answer leads back to us."""
        form = {"number": card, "email": "payer@example.test", "name": "Pat Payer"}
        place = {"country": "US", "state": "OR", "postal_code": "97201", "line1": "1 Main St"}
        return httpx.post(url, data={**form, **place, **more}, follow_redirects=False)

    def pending(self) -> list[dict[str, Any]]:
        """Take what Stripe wants to deliver."""
        taken: list[dict[str, Any]] = self.control("deliveries/take", {})
        return taken

    def deliver(self, *, shuffled: int | None = None, copies: int = 1) -> list[str]:
        """Carry pending deliveries to our webhook and work them off; return their types."""
        from billing import inbox

        waiting = self.pending() * copies
        if shuffled is not None:
            random.Random(shuffled).shuffle(waiting)
        for delivery in waiting:
            assert send(delivery).status_code == 200
        inbox.drain()
        return [delivery["type"] for delivery in waiting]

    def advance(self, days: float) -> None:
        self.control("clock", {"advance": int(days * DAY)})

    def objects(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """What Stripe has, newest first."""
        from billing import gateway

        return list(gateway.each(f"/v1/{path}", params))

    def writes(self) -> int:
        """How many writes Stripe was sent, repeated keys included."""
        counted: dict[str, int] = self.control("")["requests"]
        return sum(n for name, n in counted.items() if not name.startswith("GET"))


def recover(rounds: int = 4) -> None:
    """What the sweep does once all that waits is due and the leases of the dead have run out;
    `rounds` of it, for what follows from it."""
    from billing import operations
    from billing.models import StripeOperation
    from saas.tenancy import everyone

    for _ in range(rounds):
        with everyone("a test"):
            StripeOperation.objects.filter(state="pending").update(
                lease_until=None, next_attempt_at=timezone.now() - timedelta(seconds=1)
            )
        for operation in operations.due():
            operations.execute(operation)


def end_outage(stripe: Stripe) -> None:
    """Stripe answers again: the sweep goes on with what waits, and Stripe tells of it."""
    stripe.control("faults", method="DELETE")
    recover()
    stripe.deliver()


def pass_days(stripe: Stripe, time_machine: Any, days: float, *, told: bool = True) -> None:
    """Let days go by here and at Stripe. Its events are fetched, since their signatures are of
    today; with `told` false they are lost."""
    from billing import inbox

    stripe.advance(days)
    time_machine.move_to(timezone.now() + timedelta(days=days))
    stripe.pending()
    if told:
        inbox.catch_up()
        inbox.drain()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows carry the database's clock, which no test moves: let none look as old as that."""
    from billing import operations

    monkeypatch.setattr(operations, "KEY_LIFE", timedelta(days=9999))


def send(delivery: dict[str, Any], client: Client | None = None) -> Any:
    """Post one delivery to our webhook as Stripe does."""
    headers = {name.lower(): value for name, value in delivery["headers"].items()}
    return (client or Client()).post(
        "/webhooks/stripe/",
        data=delivery["body"],
        content_type="application/json",
        headers={"stripe-signature": headers["stripe-signature"]},
    )


@pytest.fixture
def stripe(sandbox: Sandbox) -> Stripe:
    """The sandbox's Stripe with our catalog in it."""
    found = Stripe(sandbox)
    found.control("deliveries/pause", {"paused": True})
    return found


@pytest.fixture
def catalog(db: None, stripe: Stripe) -> None:
    call_command("sync_catalog", verbosity=0, stdout=open_null())


@pytest.fixture
def metered(catalog: None, brand: Any, owner: Any, stripe: Stripe) -> Any:
    """A brand that pays by the gigabyte."""
    from billing import checkout

    url = checkout.start(brand=brand, plan="vpn_metered", currency="usd", actor=owner)
    assert stripe.pay(url).status_code == 303
    stripe.deliver()
    return brand


def open_null() -> Any:
    import io

    return io.StringIO()
