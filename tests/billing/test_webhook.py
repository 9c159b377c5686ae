"""Stripe's webhook: who is believed, what is kept, and what happens to it afterwards."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from billing import handlers, inbox
from billing.models import StripeInbox
from saas.errors import Misconfigured, Retryable
from tests.billing.signing import SECRET, sign

pytestmark = pytest.mark.django_db
_numbers = iter(range(1, 10_000))


def event(**fields: Any) -> dict[str, Any]:
    number = next(_numbers)
    return {
        "id": f"evt_test{number}",
        "object": "event",
        "type": "radar.early_fraud_warning.created",
        "livemode": False,
        "created": 1_790_000_000 + number,
        "api_version": settings.STRIPE_API_VERSION,
        "pending_webhooks": 1,
        "request": None,
        "data": {"object": {"id": f"issfr_{number}", "object": "radar.early_fraud_warning"}},
        **fields,
    }


def post(body: Any, header: str | None = None) -> int:
    text = body if isinstance(body, str) else json.dumps(body)
    answer = Client().post(
        "/webhooks/stripe/",
        data=text,
        content_type="application/json",
        headers={"stripe-signature": sign(text) if header is None else header},
    )
    return int(answer.status_code)


def test_a_right_delivery_is_kept_as_it_came() -> None:
    body = json.dumps(event(), indent=2)
    assert post(body) == 200
    assert StripeInbox.objects.get().body == body


def test_the_same_event_is_kept_once() -> None:
    sent = event()
    assert [post(sent), post(sent)] == [200, 200]
    assert StripeInbox.objects.count() == 1


BODY = json.dumps(event())


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        "v1=00",
        "t=1",
        "nonsense",
        sign(BODY, secret="whsec_other"),
        sign(BODY, at=time.time() - 301 - 5),
        sign(BODY, at=time.time() + 10_000),
        sign(BODY).replace("v1", "v0"),
        "t=99999999999999999999,v1=00",
        "t=٣,v1=00",
    ],
    ids=[
        "none",
        "empty",
        "untimed",
        "unsigned",
        "nonsense",
        "stranger",
        "stale",
        "early",
        "scheme",
        "huge",
        "digit",
    ],
)
def test_a_forged_or_stale_delivery_is_refused_and_leaves_nothing(header: str) -> None:
    assert post(BODY, header) == 400
    assert not StripeInbox.objects.exists()


def test_tolerance_is_five_minutes_both_ways() -> None:
    now = time.time()
    assert post(BODY, sign(BODY, at=now - 290)) == 200
    assert post(BODY, sign(BODY, at=now + 290)) == 200


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{",
        "[" * 100_000,
        '{"object": "event"}',
        json.dumps(event(livemode=True)),
        json.dumps(event(id=7)),
        json.dumps(event(id="")),
        json.dumps(event(id="e" * 256)),
        json.dumps(event(created=-1)),
        json.dumps(event(created=True)),
        json.dumps(event(object="v2.core.event")),  # their time is in words
        json.dumps(event(object="v2.core.event", created="yesterday")),
        json.dumps(event(data=None)),
    ],
)
def test_what_is_not_an_event_of_our_mode_is_refused(body: str) -> None:
    assert post(body) == 400
    assert not StripeInbox.objects.exists()


def test_odd_bytes_do_no_harm() -> None:
    for raw in (b"\xff\xfe", b'{"a": "\x00"}'):
        stamp = int(time.time())
        mac = hmac.new(SECRET.encode(), b"%d." % stamp + raw, hashlib.sha256).hexdigest()
        answer = Client().post(
            "/webhooks/stripe/",
            data=raw,
            content_type="application/json",
            headers={"stripe-signature": f"t={stamp},v1={mac}"},
        )
        assert answer.status_code == 400


def test_an_escaped_nul_in_the_body_is_kept() -> None:
    odd = event(data={"object": {"id": "x", "name": "a\x00b"}})
    assert post(odd) == 200


def test_a_body_too_large_is_refused_before_it_is_read() -> None:
    assert post("x" * (1024 * 1024 + 1)) == 413


def test_only_post_is_answered() -> None:
    assert Client().get("/webhooks/stripe/").status_code == 405


def test_two_secrets_while_one_is_rolled(settings: Any) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_new", "whsec_old"]
    assert post(BODY, sign(BODY, secret="whsec_old")) == 200
    second = json.dumps(event())
    assert post(second, sign(second, secret="whsec_new")) == 200
    assert post(BODY, sign(BODY)) == 400


def test_no_secret_believes_nobody(settings: Any) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = []
    assert post(BODY, sign(BODY, secret="")) == 400


def test_an_unknown_type_is_acknowledged_and_done(stripe: Any) -> None:
    post(event(type="some.thing.new", data={"object": {"object": "thing"}}))
    inbox.drain()
    assert StripeInbox.objects.get().state == "done"


def test_an_event_of_another_account_is_ignored() -> None:
    post(event(account="acct_other"))
    inbox.drain()
    assert StripeInbox.objects.get().state == "ignored"


def test_an_object_that_is_gone_is_harmless(stripe: Any) -> None:
    for kind, name in (
        ("customer.subscription.updated", "sub_gone"),
        ("invoice.paid", "in_gone"),
        ("checkout.session.completed", "cs_gone"),
    ):
        post(event(type=kind, data={"object": {"id": name, "object": kind.split(".")[-2]}}))
    inbox.drain()
    assert set(StripeInbox.objects.values_list("state", flat=True)) == {"done"}


def work_until_rest(times: int) -> StripeInbox:
    for _ in range(times):
        StripeInbox.objects.update(next_attempt_at="2020-01-01T00:00:00Z")
        inbox.drain()
    return StripeInbox.objects.get()


def test_poison_is_parked_with_its_reason_and_retried_by_a_person(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(_: dict[str, Any]) -> bool:
        raise Misconfigured("price price_1 belongs to no plan of the catalog")

    monkeypatch.setattr(handlers, "project", fails)
    post(event())
    row = work_until_rest(inbox.MOST_ATTEMPTS + 2)
    assert (row.state, row.attempts) == ("parked", inbox.MOST_ATTEMPTS)
    assert "belongs to no plan" in row.last_error
    inbox.retry([row.pk])
    monkeypatch.undo()
    inbox.drain()
    assert StripeInbox.objects.get().state in ("done", "pending")


def test_an_outage_never_parks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: dict[str, Any]) -> bool:
        raise Retryable("stripe", after=30)

    monkeypatch.setattr(handlers, "project", fails)
    post(event())
    row = work_until_rest(inbox.MOST_ATTEMPTS + 5)
    assert row.state == "pending"
    assert row.lease_until is None


def test_an_event_that_the_database_cannot_hold_is_parked(stripe: Any) -> None:
    """PostgreSQL's JSON has no NUL, and the mirror keeps events as JSON."""
    thing = {"id": "issfr_nul", "object": "radar.early_fraud_warning", "note": "a\x00b"}
    sent = event(data={"object": thing})
    assert "a\\u0000b" in json.dumps(sent)
    assert post(sent) == 200
    row = work_until_rest(inbox.MOST_ATTEMPTS + 2)
    assert (row.state, row.attempts) == ("parked", inbox.MOST_ATTEMPTS)
    assert row.last_error.startswith("DataError")
    assert row.lease_until is None


@pytest.mark.parametrize(
    "cause",
    [
        psycopg.errors.DeadlockDetected,
        psycopg.errors.SerializationFailure,
        psycopg.errors.AdminShutdown,
        psycopg.InterfaceError,
    ],
)
def test_a_database_that_is_busy_or_away_never_parks(
    cause: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: dict[str, Any]) -> bool:
        with connection.wrap_database_errors:
            raise cause("for a moment")

    monkeypatch.setattr(handlers, "project", fails)
    post(event())
    row = work_until_rest(inbox.MOST_ATTEMPTS + 3)
    assert (row.state, row.lease_until) == ("pending", None)
