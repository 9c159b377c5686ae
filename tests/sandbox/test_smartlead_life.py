"""Leads change, webhooks tell of it, and what happened is still so after a restart."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.sandbox.conftest import Running


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted to it; answers with `statuses` in turn, then 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def bodies(self, count: int) -> list[dict[str, Any]]:
        """The first `count` bodies, once they are there."""
        deadline = time.monotonic() + 30
        while len(self.got) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return [json.loads(body) for _, body in self.got[:count]]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((dict(self.headers.items()), body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def key(running: Running, new_key: Callable[..., str]) -> Iterator[str]:
    yield new_key(500, 2, "r0")
    running.client.delete("/smartlead/_control/webhooks")


def thread_of(running: Running, key: str, touched: dict[str, Any]) -> list[dict[str, Any]]:
    path = f"/campaigns/{touched['campaign_id']}/leads/{touched['lead_id']}/message-history"
    history: list[dict[str, Any]] = running.get(path, key).json()["history"]
    return history


def test_a_reply_is_in_the_thread_and_in_what_changed_since(running: Running, key: str) -> None:
    before = running.client.get("/smartlead/_control/clock").json()["now"]
    touched = running.control("touch", key=key, what="reply", category=1, text="Yes, please.")
    (lead,) = touched["touched"]
    assert (lead["status"], lead["category"]) == ("COMPLETED", 1)
    last = thread_of(running, key, lead)[-1]
    assert (last["type"], last["email_body"]) == ("REPLY", "Yes, please.")
    path = f"/campaigns/{lead['campaign_id']}/leads"
    changed = running.get(path, key, event_time_gt=before).json()
    assert [row["lead"]["id"] for row in changed["data"]] == [lead["lead_id"]]
    assert changed["data"][0]["lead_category_id"] == 1


def test_the_same_seed_touches_the_same_leads(
    running: Running, new_key: Callable[..., str]
) -> None:
    key = new_key(500, 2, "r0")
    first = running.control("touch", key=key, what="category", category=3, count=5, seed=11)
    again = running.control("touch", key=key, what="category", category=3, count=5, seed=11)
    assert len(first["touched"]) == 5
    assert again["touched"] == first["touched"]


def test_a_reply_webhook_has_the_message_that_the_thread_has(
    running: Running, key: str, receiver: Receiver
) -> None:
    running.control(
        "webhooks", key=key, url=receiver.url, events=["EMAIL_REPLY"], secret="s3", signed=True
    )
    touched = running.control("touch", key=key, what="reply", category=2)
    assert touched["webhooks"] == 1
    (body,) = receiver.bodies(1)
    (lead,) = touched["touched"]
    assert body["event_type"] == "EMAIL_REPLY"
    assert body["sl_email_lead_id"] == str(lead["lead_id"])
    assert body["to_email"] == lead["email"]
    assert body["secret_key"] == "s3"
    last = thread_of(running, key, lead)[-1]
    assert body["reply_message"]["message_id"] == last["message_id"]
    assert body["reply_message"]["html"] == last["email_body"]
    assert body["reply_message"]["time"] == last["time"]
    headers, raw = receiver.got[0]
    digest = hmac.new(b"s3", raw, hashlib.sha256).hexdigest()
    assert headers["X-Smartlead-Signature"] == f"sha256={digest}"


def test_a_category_webhook_says_what_it_was_and_is(
    running: Running, key: str, receiver: Receiver
) -> None:
    running.control("webhooks", key=key, url=receiver.url)
    (lead,) = running.control("touch", key=key, what="category", category=3)["touched"]
    running.control("touch", key=key, what="category", category=1, lead=lead["lead_id"])
    # Two deliveries may overtake each other, as in life.
    bodies = receiver.bodies(2)
    [body] = [one for one in bodies if one["lead_category"]["new_id"] == 1]
    assert body["event_type"] == "LEAD_CATEGORY_UPDATED"
    assert body["lead_category"] == {
        "old_id": 3, "old_name": "Not Interested", "new_id": 1, "new_name": "Interested",
    }  # fmt: skip
    assert body["lead_data"]["email"] == lead["email"]


def test_a_webhook_is_tried_again_until_it_is_taken(
    running: Running, key: str, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    running.control("webhooks", key=key, url=receiver.url)
    running.control("touch", key=key, what="reply")
    first, second = receiver.bodies(2)
    assert first == second


def test_a_webhook_can_be_lost_or_come_twice(
    running: Running, key: str, receiver: Receiver
) -> None:
    running.control("webhooks", key=key, url=receiver.url)
    assert running.control("touch", key=key, what="reply", times=0)["webhooks"] == 0
    assert running.control("touch", key=key, what="reply", times=2)["webhooks"] == 2
    assert len(receiver.bodies(2)) == 2


def test_a_client_sets_up_a_webhook_for_a_campaign(
    running: Running, key: str, receiver: Receiver
) -> None:
    campaign = running.campaign(key)
    body = {
        "id": None,
        "name": "Harbor",
        "webhook_url": receiver.url,
        "event_types": ["EMAIL_REPLY"],
    }
    made = running.post(f"/campaigns/{campaign}/webhooks", key, body).json()["data"]
    listed = running.get(f"/campaigns/{campaign}/webhooks", key).json()
    assert listed == [made]
    other = running.campaign(key, 1)
    assert running.control("touch", key=key, campaign=other, what="reply")["webhooks"] == 0
    assert running.control("touch", key=key, campaign=campaign, what="reply")["webhooks"] == 1
    bad = running.post(f"/campaigns/{campaign}/webhooks", key, body | {"webhook_url": "nowhere"})
    assert bad.status_code == 400


def test_new_leads_come_last_in_their_campaign_and_first_in_the_account(
    running: Running, key: str
) -> None:
    campaign = running.campaign(key)
    before = int(running.get(f"/campaigns/{campaign}/leads", key, limit=1).json()["total_leads"])
    newest = running.get("/leads/all", key, limit=1).json()["data"]["leads"][0]["id"]
    grown = running.control("touch", key=key, what="grow", campaign=campaign, count=3)
    assert grown["leads_now"] == 503
    page = running.get(f"/campaigns/{campaign}/leads", key, offset=before).json()
    assert page["total_leads"] == str(before + 3)
    added = [row["lead"]["id"] for row in page["data"]]
    top = running.get("/leads/all", key, limit=4).json()["data"]["leads"]
    assert [lead["id"] for lead in top] == [*reversed(added), newest]
