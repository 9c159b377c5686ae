"""Webhooks: at least once, unordered, signed, retried with growing pauses.

A delivery is a row; a loop sends what is due. Real time counts here, not the simulated clock: the
signature's timestamp is what the receiver compares with its own watch. Rules (see control.py) drop,
delay, duplicate, shuffle or forge what is queued while they are in force.
"""

import fnmatch
import hashlib
import hmac
import json
import random
import time
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.stripe.store import Obj, Store

# Seconds between attempts. Stripe spreads them over three days; a sandbox has less patience.
BACKOFF = (1, 3, 10, 30, 60, 300, 900, 3600, 7200, 18000, 43200)
FORGERIES = ("signature", "old", "future", "secret", "missing")
_shuffle = random.Random()


@dataclass(frozen=True)
class Delivery:
    """One signed POST, ready to send."""

    seq: int
    event: str
    url: str
    headers: dict[str, str]
    body: bytes


def enqueue(store: Store, event: Obj, now: float) -> int:
    """Queues the event for every endpoint that wants its type; answers how many are pending."""
    pending = 0
    endpoints = store.select("webhook_endpoint", status="enabled")
    wanting = [e for e in endpoints if _wants(e["enabled_events"], event["type"])]
    for endpoint in wanting:
        for state, due, forgery in _plan(store, event["type"], now):
            _insert(store, event["id"], endpoint["id"], due, state=state, forgery=forgery)
            pending += state == "pending" and forgery is None
    return min(pending, len(wanting))


def send_again(store: Store, event: str, *, forgery: str | None = None, copies: int = 1) -> None:
    """Queues an event once more (a replay from the dashboard), truly signed or forged."""
    for endpoint in store.select("webhook_endpoint", status="enabled"):
        for _ in range(copies):
            _insert(store, event, endpoint["id"], time.time(), forgery=forgery)


def due(store: Store, now: float, limit: int = 50) -> list[Delivery]:
    """The pending deliveries whose time has come, signed now."""
    sql = """SELECT seq, event, endpoint, forgery FROM deliveries
             WHERE state = 'pending' AND due <= ? ORDER BY due, seq LIMIT ?"""
    rows = store.all(sql, now, limit)
    found = (
        _prepare(store, seq, event, endpoint, forgery) for seq, event, endpoint, forgery in rows
    )
    return [delivery for delivery in found if delivery is not None]


def settle(store: Store, delivery: Delivery, status: int | None, error: str | None) -> None:
    """Writes down how an attempt ended: delivered, failed for good, or due again."""
    row = store.one("SELECT attempts, forgery FROM deliveries WHERE seq = ?", delivery.seq)
    if row is None:  # reset while it was under way
        return
    attempts, forgery = row[0] + 1, row[1]
    if status is not None and 200 <= status < 300:
        state, next_due = "delivered", 0.0
    elif forgery or attempts > len(BACKOFF):
        state, next_due = "failed", 0.0
    else:
        state, next_due = "pending", time.time() + BACKOFF[attempts - 1]
    store.run(
        "UPDATE deliveries SET state=?, due=?, attempts=?, status=?, error=? WHERE seq=?",
        *(state, next_due, attempts, status, error, delivery.seq),
    )
    event = store.find(delivery.event)
    if event is not None and state != "pending" and not forgery:
        event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)
        store.save(event)


async def post(client: httpx.AsyncClient, delivery: Delivery) -> tuple[int | None, str | None]:
    """Sends one delivery: the status, or what kept it from having one."""
    try:
        answer = await client.post(delivery.url, content=delivery.body, headers=delivery.headers)
    except httpx.HTTPError as error:
        return None, f"{type(error).__name__}: {error}"[:300]
    return answer.status_code, None if answer.is_success else answer.text[:300]


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """The Stripe-Signature header: HMAC-SHA256 over `timestamp.body`."""
    signed = f"{timestamp}.".encode() + body
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def _wants(enabled: list[str], kind: str) -> bool:
    return "*" in enabled or kind in enabled


def _plan(store: Store, kind: str, now: float) -> list[tuple[str, float, str | None]]:
    """What the rules in force make of one delivery: (state, due, forgery) for each row."""
    rules: list[dict[str, Any]] = store.meta("webhook_rules", [])
    planned: list[tuple[str, float, str | None]] = [("pending", now, None)]
    for rule in rules:
        if rule.get("times") == 0 or not fnmatch.fnmatch(kind, rule.get("types", "*")):
            continue
        if rule.get("times") is not None:
            rule["times"] -= 1
        planned = _apply(rule, planned)
    if rules:
        store.set_meta("webhook_rules", [rule for rule in rules if rule.get("times") != 0])
    return planned


def _apply(
    rule: dict[str, Any], planned: list[tuple[str, float, str | None]]
) -> list[tuple[str, float, str | None]]:
    seconds = float(rule.get("seconds", 1))
    match rule["action"]:
        case "drop":
            return [("dropped", due, forgery) for _, due, forgery in planned]
        case "delay":
            return [(state, due + seconds, forgery) for state, due, forgery in planned]
        case "reorder":
            spread = [_shuffle.uniform(0, seconds) for _ in planned]
            return [(s, d + more, f) for (s, d, f), more in zip(planned, spread, strict=True)]
        case "duplicate":
            return planned * int(rule.get("copies", 2))
        case _:  # forge: a bad copy beside the good one
            return [*planned, ("pending", planned[0][1], rule.get("forgery", "signature"))]


def _insert(
    store: Store,
    event: str,
    endpoint: str,
    due: float,
    *,
    state: str = "pending",
    forgery: str | None = None,
) -> None:
    sql = "INSERT INTO deliveries (event, endpoint, due, state, forgery) VALUES (?, ?, ?, ?, ?)"
    store.run(sql, event, endpoint, due, state, forgery)


def _prepare(
    store: Store, seq: int, event: str, endpoint: str, forgery: str | None
) -> Delivery | None:
    target, found = store.find(endpoint), store.find(event)
    if target is None or found is None or target["status"] != "enabled":
        store.run("UPDATE deliveries SET state = 'dropped' WHERE seq = ?", seq)
        return None
    body = json.dumps(found, indent=2).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    signature = _signature(body, target["_secret"], forgery)
    if signature:
        headers["Stripe-Signature"] = signature
    return Delivery(seq, event, target["url"], headers, body)


def _signature(body: bytes, secret: str, forgery: str | None) -> str | None:
    now = int(time.time())
    match forgery:
        case "missing":
            return None
        case "old":
            return sign(body, secret, now - 3600)
        case "future":
            return sign(body, secret, now + 3600)
        case "secret":
            return sign(body, secret + "x", now)
        case "signature":
            return f"t={now},v1={'0' * 64}"
        case _:
            return sign(body, secret, now)
