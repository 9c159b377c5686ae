"""Idempotency keys, as Stripe promises them: one effect a key, and the same answer again."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.stripe.box import DECLINED, KEY, Box


def create(box: Box, key: str, name: str = "Ada", path: str = "/v1/customers") -> httpx.Response:
    return box.raw("POST", path, data={"name": name}, headers={"Idempotency-Key": key})


def names(box: Box) -> list[str | None]:
    return [customer.name for customer in box.v1.customers.list().data]


def test_the_same_key_gives_the_same_answer_and_one_effect(box: Box) -> None:
    first, second = create(box, "k1"), create(box, "k1")
    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Original-Request"] == first.headers["Request-Id"]
    assert second.headers["Idempotency-Key"] == "k1"
    assert "Idempotent-Replayed" not in first.headers
    assert names(box) == ["Ada"]
    assert box.event_types() == ["customer.created"]


def test_the_same_key_with_other_parameters_is_refused(box: Box) -> None:
    create(box, "k1")
    answer = create(box, "k1", name="Grace")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "idempotency_error")
    assert names(box) == ["Ada"]


def test_the_same_key_on_another_path_is_refused(box: Box) -> None:
    create(box, "k1")
    answer = create(box, "k1", path="/v1/products")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "idempotency_error")
    assert box.v1.products.list().data == []


def test_a_refused_parameter_leaves_the_key_free(box: Box) -> None:
    headers = {"Idempotency-Key": "k1"}
    refused = box.raw("POST", "/v1/customers", data={"colour": "red"}, headers=headers)
    assert refused.status_code == 400
    assert create(box, "k1").status_code == 200


def test_a_refusal_by_the_endpoint_is_replayed(box: Box) -> None:
    params: Any = {"customer": "cus_none", "items": [{"price": "price_none"}]}
    answers = []
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            box.v1.subscriptions.create(params, {"idempotency_key": "k1"})
        answers.append(refusal.value)
    assert [error.code for error in answers] == ["resource_missing"] * 2
    headers: Any = answers[1].headers
    assert headers["Idempotent-Replayed"] == "true"


def test_a_declined_card_is_replayed_without_a_second_attempt(box: Box) -> None:
    method = box.card(DECLINED)
    params: Any = {
        "amount": 1000,
        "currency": "usd",
        "payment_method": method.id,
        "confirm": True,
    }
    for _ in range(2):
        with pytest.raises(stripe.CardError) as refusal:
            box.v1.payment_intents.create(params, {"idempotency_key": "k1"})
        assert refusal.value.code == "card_declined"
    assert box.event_types().count("charge.failed") == 1


def test_a_500_is_replayed_too(box: Box) -> None:
    box.control("POST", "/faults", {"kind": "status", "status": 500, "times": 1})
    first, second = create(box, "k1"), create(box, "k1")
    assert (first.status_code, second.status_code) == (500, 500)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert names(box) == []


@pytest.mark.parametrize("status", [409, 429])
def test_being_turned_away_is_not_replayed(box: Box, status: int) -> None:
    box.control("POST", "/faults", {"kind": "status", "status": status, "times": 1})
    first, second = create(box, "k1"), create(box, "k1")
    assert (first.status_code, second.status_code) == (status, 200)
    assert first.headers["Stripe-Should-Retry"] == "true"
    assert names(box) == ["Ada"]


def test_two_at_once_with_one_key_one_is_told_to_wait(box: Box) -> None:
    box.control("POST", "/faults", {"kind": "latency", "seconds": 0.5, "times": 1})
    answers: list[int] = []
    slow = threading.Thread(target=lambda: answers.append(create(box, "k1").status_code))
    slow.start()
    while not box.control("GET", "/")["requests"]:
        pass
    meanwhile = httpx.post(
        f"{box.url}/stripe/v1/customers",
        data={"name": "Ada"},
        headers={
            "Idempotency-Key": "k1",
            "Authorization": f"Bearer {KEY}",
        },
    )
    slow.join()
    assert (meanwhile.status_code, meanwhile.json()["error"]["code"]) == (
        409,
        "idempotency_key_in_use",
    )
    assert answers == [200]
    assert create(box, "k1").headers["Idempotent-Replayed"] == "true"
    assert names(box) == ["Ada"]


def test_reading_and_deleting_ignore_the_key(box: Box) -> None:
    customer = create(box, "k1").json()["id"]
    headers = {"Idempotency-Key": "k1"}
    assert box.raw("GET", f"/v1/customers/{customer}", headers=headers).status_code == 200
    assert box.raw("DELETE", f"/v1/customers/{customer}", headers=headers).status_code == 200


def test_a_key_has_at_most_255_characters(box: Box) -> None:
    assert create(box, "k" * 255).status_code == 200
    assert create(box, "k" * 256).status_code == 400
