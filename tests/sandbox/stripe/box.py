"""A sandbox Stripe on a real port, and short words for what a test does with it."""

from __future__ import annotations

import html
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from sandbox.server import bound
from sandbox.stripe import create_app

KEY = "sk_test_" + "sandboxtests" * 3
SECRET = "whsec_" + "sandboxtests" * 3
GOOD, DECLINED, BROKE, ASKS = (
    "4242424242424242",
    "4000000000000002",
    "4000000000009995",
    "4000002500003155",
)
FAILS_LATER = "4000000000000341"
DAY = 86_400
MONTH = {"interval": "month"}


@dataclass
class Server:
    """The stand-in mounted under /stripe, served by a thread."""

    url: str
    uvicorn: uvicorn.Server
    thread: threading.Thread

    @classmethod
    def start(cls, state: Path, contract: Path, app_url: str = "http://127.0.0.1:9") -> Server:
        sock = bound(0)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        inner = create_app(state, app_url=app_url, base_url=f"{url}/stripe", contract=contract)
        outer = Starlette(routes=[Mount("/stripe", inner)])
        server = uvicorn.Server(uvicorn.Config(outer, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        return cls(url, server, thread)

    def stop(self) -> None:
        self.uvicorn.should_exit = True
        self.thread.join(10)


def _browser() -> httpx.Client:
    # There is no TLS on loopback, and reading the machine's certificates costs 50 ms a client.
    return httpx.Client(timeout=30, verify=False)  # noqa: S501


@dataclass
class Box:
    """The API through Stripe's own SDK (`v1`), the payer's browser, and the control."""

    url: str
    http: httpx.Client = field(default_factory=_browser)

    def __post_init__(self) -> None:
        self.client = stripe.StripeClient(
            KEY, base_addresses={"api": f"{self.url}/stripe"}, max_network_retries=0
        )
        self.v1 = self.client.v1

    def raw(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request without the SDK, authorized unless told otherwise."""
        headers = {"Authorization": f"Bearer {KEY}", **options.pop("headers", {})}
        return self.http.request(method, f"{self.url}/stripe{path}", headers=headers, **options)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"{self.url}/stripe/_control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(self, seconds: int) -> None:
        self.control("POST", "/clock", {"advance": seconds})

    def wait_until(self, moment: int) -> None:
        self.control("POST", "/clock", {"to": moment})

    @property
    def now(self) -> int:
        return int(self.control("GET", "/")["now"])

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Events, oldest first."""
        found: list[dict[str, Any]] = self.control(
            "GET", f"/events?type={kind}" if kind else "/events"
        )
        return found[::-1]

    def event_types(self) -> list[str]:
        return [event["type"] for event in self.events()]

    def price(self, amount: int = 4900, currency: str = "usd", **more: Any) -> stripe.Price:
        product = self.v1.products.create({"name": more.pop("name", "Leads")})
        recurring = more.pop("recurring", MONTH)
        params: Any = {"currency": currency, "product": product.id, "unit_amount": amount}
        if recurring:
            params["recurring"] = recurring
        return self.v1.prices.create({**params, **more})

    def customer(self, card: str | None = GOOD, **more: Any) -> stripe.Customer:
        """A customer whose default card is `card`."""
        customer = self.v1.customers.create({"email": "ada@example.test", **more})  # type: ignore[typeddict-item]
        if card:
            self.give_card(customer.id, card)
        return customer

    def give_card(self, customer: str, number: str) -> str:
        method = self.card(number)
        self.v1.payment_methods.attach(method.id, {"customer": customer})
        settings: Any = {"default_payment_method": method.id}
        self.v1.customers.update(customer, {"invoice_settings": settings})
        return method.id

    def card(self, number: str) -> stripe.PaymentMethod:
        card: Any = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
        return self.v1.payment_methods.create({"type": "card", "card": card})

    def subscribe(self, card: str = GOOD, amount: int = 4900, **more: Any) -> stripe.Subscription:
        customer = self.customer(card)
        items: Any = [{"price": self.price(amount).id}]
        return self.v1.subscriptions.create({"customer": customer.id, "items": items, **more})

    def subscription(self, identifier: str) -> stripe.Subscription:
        return self.v1.subscriptions.retrieve(identifier)

    def checkout(self, price: str, **more: Any) -> stripe.checkout.Session:
        params: Any = {
            "mode": "subscription",
            "line_items": [{"price": price, "quantity": 1}],
            "success_url": "https://harbor.test/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://harbor.test/plans",
        }
        return self.v1.checkout.sessions.create({**params, **more})

    def pay(
        self, session: stripe.checkout.Session, card: str = GOOD, **form: str
    ) -> httpx.Response:
        """What the payer's browser does with the Checkout page."""
        url = session.url
        assert url is not None
        return self.http.post(url, data={"card": card, **form})

    def invoices(self, subscription: str) -> list[stripe.Invoice]:
        """Oldest first."""
        return self.v1.invoices.list({"subscription": subscription, "limit": 100}).data[::-1]


def shown(answer: httpx.Response) -> str:
    """The text of a page."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))
