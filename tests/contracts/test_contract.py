"""The checker itself: it accepts what Stripe documents and names what it doesn't."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from sandbox.stripe.registry import ROUTES
from sandbox.stripe.schema import REF, fits, strict
from tests.contracts import contract, validate_request, validate_response

INVOICE: dict[str, Any] = json.loads(Path(__file__).with_name("invoice.json").read_text())
DELETED = {"id": "cus_1", "object": "customer", "deleted": True}
CUSTOMER = {
    "id": "cus_1",
    "object": "customer",
    "created": 1_700_000_000,
    "livemode": False,
    "email": None,
}


def test_speaks_the_version_that_harbor_pins() -> None:
    assert contract().api_version == "2026-08-26.dahlia"


def test_a_nullable_field_may_be_null_and_may_be_left_out() -> None:
    bare: dict[str, Any] = {key: CUSTOMER[key] for key in CUSTOMER if key != "email"}
    assert validate_response("GET", "/v1/customers/cus_1", 200, CUSTOMER) == []
    assert validate_response("GET", "/v1/customers/cus_1", 200, bare) == []


def test_a_path_with_two_kinds_of_answer_takes_both() -> None:
    assert validate_response("GET", "/v1/customers/cus_1", 200, DELETED) == []


def test_a_missing_required_field_is_named() -> None:
    body = {key: value for key, value in CUSTOMER.items() if key != "created"}
    [problem] = validate_response("POST", "/v1/customers", 200, body)
    assert "'created' is a required property" in problem


def test_a_field_that_stripe_does_not_have_is_named() -> None:
    [problem] = validate_response("POST", "/v1/customers", 200, {**CUSTOMER, "plan": "x"})
    assert "'plan' was unexpected" in problem


def test_null_is_refused_where_it_is_not_declared() -> None:
    [problem] = validate_response("POST", "/v1/customers", 200, {**CUSTOMER, "created": None})
    assert problem == "POST /v1/customers: created: None is not of type 'integer'"


def test_an_error_must_be_stripes_error_object() -> None:
    good = {"error": {"type": "card_error", "message": "Your card was declined."}}
    assert validate_response("POST", "/v1/customers", 402, good) == []
    assert validate_response("POST", "/v1/customers", 402, {"error": {"type": "oops"}})
    assert validate_response("POST", "/v1/customers", 500, {"detail": "x"})


def test_requests_are_checked_typed_and_closed_at_every_depth() -> None:
    path = "/v1/checkout/sessions"
    items = [{"price": "price_1", "quantity": 1}]
    assert validate_request("POST", path, {"mode": "subscription", "line_items": items}) == []
    assert validate_request("POST", path, {"mode": "sometimes"})
    assert validate_request("POST", path, {"line_items": [{"price": "price_1", "quantity": "1"}]})
    assert validate_request("POST", path, {"line_items": [{"price": "price_1", "colour": "red"}]})


def test_a_literal_path_wins_over_a_placeholder() -> None:
    found = contract().match("GET", "/v1/subscriptions/search")
    assert found is not None
    assert found.template == "/v1/subscriptions/search"


def test_a_path_outside_the_contract_is_a_violation() -> None:
    assert validate_request("GET", "/v1/made_up", {}) == ["GET /v1/made_up: not in the contract"]
    assert validate_response("GET", "/v1/made_up", 200, {})


def test_everything_the_sandbox_serves_is_in_the_contract() -> None:
    import sandbox.stripe  # noqa: F401 - registers the routes

    assert len(ROUTES) > 70
    assert [key for key in ROUTES if contract().operation(*key) is None] == []


@settings(deadline=None)  # the first example compiles the schemas
@given(st.data())
def test_the_quick_check_and_jsonschema_are_of_one_opinion(data: st.DataObject) -> None:
    """Damages a good invoice in one place; both must say the same of the result."""
    body = copy.deepcopy(INVOICE)
    holder, key = data.draw(st.sampled_from(list(places(body))))
    damage = st.sampled_from([None, True, 7, -1.5, "text", "", [], {}, {"id": "x"}, [None]])
    if data.draw(st.booleans()):
        holder[key] = data.draw(damage)
    else:
        holder.pop(key)
    quick = fits(body, {"$ref": REF + "invoice"}, contract()._schemas)
    slow = jsonschema_of("invoice").is_valid(body)
    assert quick == slow


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a document, as the container and the key in it."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in pairs:
        yield node, key
        if isinstance(value, dict | list):
            yield from places(value)


@cache
def jsonschema_of(name: str) -> Draft4Validator:
    schemas = {key: strict(schema) for key, schema in contract()._schemas.items()}
    return Draft4Validator({"$ref": REF + name, "components": {"schemas": schemas}})
