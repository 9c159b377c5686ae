"""Webhooks: signed, at least once, retried, unordered; and every way to make that hurt."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.box import SECRET, Box


@dataclass
class Receiver:
    """An endpoint that keeps what it gets and answers `status`."""

    url: str = ""
    status: int = 200
    got: list[tuple[str | None, bytes]] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    def wait_for(self, count: int) -> None:
        until(lambda: len(self.got) >= count)


def until(done: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def receiver(box: Box) -> Iterator[Receiver]:
    """An endpoint that listens; the product's own is switched off, so that all comes here."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.got.append((self.headers.get("Stripe-Signature"), body))
            self.send_response(kept.status)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kept.url = f"http://127.0.0.1:{server.server_port}/hooks"
    [own] = box.v1.webhook_endpoints.list().data
    box.v1.webhook_endpoints.update(own.id, {"url": kept.url})
    box.control("POST", "/deliveries/pause", {"paused": False})
    yield kept
    server.shutdown()


def deliveries(box: Box) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = box.control("GET", "/deliveries")
    return found


def test_an_event_arrives_truly_signed(box: Box, receiver: Receiver) -> None:
    customer = box.v1.customers.create({"email": "ada@example.test"})
    receiver.wait_for(1)
    signature, body = receiver.got[0]
    assert signature is not None
    event = stripe.Webhook.construct_event(body, signature, SECRET)
    assert (event.type, event.livemode) == ("customer.created", False)
    assert event.api_version == "2026-08-26.dahlia"
    assert event.data.object["id"] == customer.id
    stored = box.v1.events.retrieve(event.id)
    assert stored.data.object["email"] == "ada@example.test"
    assert stored["request"].id.startswith("req_")


def test_an_event_holds_the_object_as_it_was_and_what_it_was_before(box: Box) -> None:
    customer = box.v1.customers.create({"name": "Ada"})
    box.v1.customers.update(customer.id, {"name": "Grace"}, {"idempotency_key": "k9"})
    [event] = box.events("customer.updated")
    assert event["data"]["object"]["name"] == "Grace"
    assert event["data"]["previous_attributes"] == {"name": "Ada"}
    assert event["request"]["idempotency_key"] == "k9"
    box.v1.customers.update(customer.id, {"name": "Grace"})
    assert len(box.events("customer.updated")) == 1


def test_a_receiver_that_fails_gets_it_again(box: Box, receiver: Receiver) -> None:
    receiver.status = 500
    box.v1.customers.create({})
    receiver.wait_for(1)
    until(lambda: deliveries(box)[0]["attempts"] == 1)
    [delivery] = deliveries(box)
    assert (delivery["state"], delivery["status"]) == ("pending", 500)
    assert box.v1.events.list().data[0].pending_webhooks == 1

    receiver.status = 200
    receiver.wait_for(2)
    until(lambda: deliveries(box)[0]["state"] == "delivered")
    assert receiver.events[0] == receiver.events[1]
    assert box.v1.events.list().data[0].pending_webhooks == 0


def test_only_wanted_types_are_sent(box: Box, receiver: Receiver) -> None:
    [own] = box.v1.webhook_endpoints.list().data
    box.v1.webhook_endpoints.update(own.id, {"enabled_events": ["product.created"]})
    box.v1.customers.create({})
    box.v1.products.create({"name": "Leads"})
    receiver.wait_for(1)
    assert [event["type"] for event in receiver.events] == ["product.created"]


def test_a_second_endpoint_has_a_secret_of_its_own_shown_once(box: Box, receiver: Receiver) -> None:
    made = box.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert "secret" not in box.v1.webhook_endpoints.retrieve(made.id)
    box.v1.customers.create({})
    receiver.wait_for(2)
    signatures = {signature for signature, _ in receiver.got}
    assert len(signatures) == 2
    box.v1.webhook_endpoints.delete(made.id)


def test_dropped(box: Box, receiver: Receiver) -> None:
    box.control("POST", "/webhooks/rules", {"action": "drop", "types": "customer.*", "times": 1})
    box.v1.customers.create({"name": "lost"})
    box.v1.customers.create({"name": "kept"})
    receiver.wait_for(1)
    assert [event["data"]["object"]["name"] for event in receiver.events] == ["kept"]
    assert deliveries(box)[0]["state"] == "dropped"
    assert len(box.v1.events.list({"type": "customer.created"}).data) == 2


def test_duplicated(box: Box, receiver: Receiver) -> None:
    box.control("POST", "/webhooks/rules", {"action": "duplicate", "copies": 3, "times": 1})
    box.v1.customers.create({})
    receiver.wait_for(3)
    assert len({event["id"] for event in receiver.events}) == 1


def test_delayed_until_told(box: Box, receiver: Receiver) -> None:
    box.control("POST", "/webhooks/rules", {"action": "delay", "seconds": 3600})
    box.v1.customers.create({})
    box.control("DELETE", "/webhooks/rules")
    box.v1.products.create({"name": "Leads"})
    receiver.wait_for(1)
    assert [event["type"] for event in receiver.events] == ["product.created"]
    [result] = box.control("POST", "/deliveries/now")
    assert result["status"] == 200
    assert receiver.events[-1]["type"] == "customer.created"


def test_replayed_from_the_dashboard(box: Box, receiver: Receiver) -> None:
    box.v1.customers.create({})
    receiver.wait_for(1)
    event = receiver.events[0]["id"]
    box.control("POST", f"/events/{event}/send", {"copies": 2})
    receiver.wait_for(3)
    assert {found["id"] for found in receiver.events} == {event}


@pytest.mark.parametrize("forgery", ["signature", "secret", "old", "future", "missing"])
def test_forged(box: Box, receiver: Receiver, forgery: str) -> None:
    box.v1.customers.create({})
    receiver.wait_for(1)
    receiver.status = 400
    box.control("POST", f"/events/{receiver.events[0]['id']}/send", {"forgery": forgery})
    receiver.wait_for(2)
    signature, body = receiver.got[1]
    if forgery == "missing":
        assert signature is None
    elif forgery in ("old", "future"):
        assert signature is not None
        stripe.WebhookSignature.verify_header(body.decode(), signature, SECRET)
        claimed = int(signature.split(",")[0].removeprefix("t="))
        assert abs(claimed - time.time()) > 3000
    else:
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(body.decode(), signature or "", SECRET)
    until(lambda: deliveries(box)[-1]["state"] == "failed")


def test_handed_over_to_a_test_without_a_server(box: Box) -> None:
    box.v1.customers.create({})
    [taken] = box.control("POST", "/deliveries/take")
    assert taken["type"] == "customer.created"
    assert taken["url"].endswith("/webhooks/stripe/")
    signature = taken["headers"]["Stripe-Signature"]
    assert stripe.Webhook.construct_event(taken["body"], signature, SECRET).id == taken["event"]
    assert box.control("POST", "/deliveries/take") == []


def test_events_list_by_type_and_by_delivery(box: Box, receiver: Receiver) -> None:
    box.v1.customers.create({})
    receiver.wait_for(1)
    until(lambda: deliveries(box)[0]["state"] == "delivered")
    box.control("POST", "/deliveries/pause", {"paused": True})
    box.v1.products.create({"name": "Leads"})
    types = ["customer.created", "product.created"]
    assert [e.type for e in box.v1.events.list({"types": types}).data] == types[::-1]
    assert [e.type for e in box.v1.events.list({"delivery_success": False}).data] == types[1:]
    assert [e.type for e in box.v1.events.list({"delivery_success": True}).data] == types[:1]
