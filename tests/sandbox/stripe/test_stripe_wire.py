"""The wire: keys, parameters, errors, pages, expansion, as Stripe's API reference has them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.stripe.box import Box


def error(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["error"]
    return found


def post(box: Box, path: str, data: dict[str, str]) -> httpx.Response:
    return box.raw("POST", path, data=data)


@pytest.mark.parametrize("key", ["sk_test_short", "sk_live_" + "a" * 30, "nonsense"])
def test_a_wrong_key_is_401_and_does_nothing(box: Box, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    answer = box.raw("POST", "/v1/customers", headers=headers)
    assert answer.status_code == 401
    assert error(answer)["type"] == "invalid_request_error"
    assert box.v1.customers.list().data == []


def test_the_key_may_come_as_basic_auth(box: Box) -> None:
    from tests.sandbox.stripe.box import KEY

    assert box.http.get(f"{box.url}/stripe/v1/customers", auth=(KEY, "")).status_code == 200


def test_every_answer_names_its_request_and_version(box: Box) -> None:
    for path in ("/v1/customers", "/v1/customers/cus_none"):
        headers = box.raw("GET", path).headers
        assert headers["Request-Id"].startswith("req_")
        assert headers["Stripe-Version"] == "2026-08-26.dahlia"


def test_another_api_version_is_refused(box: Box) -> None:
    answer = box.raw("GET", "/v1/customers", headers={"Stripe-Version": "2017-08-15"})
    assert (answer.status_code, error(answer)["message"]) == (
        400,
        "Invalid Stripe API version: 2017-08-15",
    )


@pytest.mark.parametrize(
    ("data", "code", "param"),
    [
        ({"colour": "red"}, "parameter_unknown", "colour"),
        ({"address[planet]": "Mars"}, "parameter_unknown", "address[planet]"),
        ({"balance": "ten"}, "parameter_invalid_integer", "balance"),
        ({"tax_exempt": "maybe"}, None, "tax_exempt"),
        ({"preferred_locales": "en"}, None, "preferred_locales"),
        ({"payment_method": ""}, "parameter_invalid_empty", "payment_method"),
        ({"metadata[" + "k" * 41 + "]": "v"}, None, f"metadata[{'k' * 41}]"),
    ],
)
def test_a_bad_parameter_is_named(
    box: Box, data: dict[str, str], code: str | None, param: str
) -> None:
    answer = post(box, "/v1/customers", data)
    assert answer.status_code == 400
    assert error(answer)["type"] == "invalid_request_error"
    assert (error(answer).get("code"), error(answer).get("param")) == (code, param)
    assert box.v1.customers.list().data == []


def test_a_request_that_breaks_the_contract_is_written_down(box: Box) -> None:
    post(box, "/v1/customers", {"colour": "red"})
    box.raw("GET", "/v1/made_up")
    unknown, elsewhere = box.control("GET", "/violations")
    assert unknown == "request: POST /v1/customers: Received unknown parameter: colour"
    assert elsewhere.startswith("request: GET /v1/made_up: Unrecognized request URL")
    assert box.control("DELETE", "/violations") == []


def test_a_missing_parameter_is_named(box: Box) -> None:
    answer = post(box, "/v1/prices", {"unit_amount": "100"})
    assert (error(answer)["code"], error(answer)["param"]) == ("parameter_missing", "currency")


def test_a_nested_value_arrives_typed(box: Box) -> None:
    price = box.price(currency_options={"jpy": {"unit_amount": 7000}})
    found = box.v1.prices.retrieve(price.id, {"expand": ["currency_options"]})
    assert found.currency_options is not None
    assert found.currency_options["jpy"].unit_amount == 7000
    assert found.currency_options["usd"].unit_amount == 4900
    assert "currency_options" not in box.v1.prices.retrieve(price.id)


def test_what_does_not_exist_is_404_in_the_path_and_400_in_a_parameter(box: Box) -> None:
    in_path = box.raw("GET", "/v1/customers/cus_none")
    in_body = post(
        box, "/v1/prices", {"product": "prod_none", "currency": "usd", "unit_amount": "1"}
    )
    assert (in_path.status_code, in_body.status_code) == (404, 400)
    for answer in (in_path, in_body):
        assert error(answer)["code"] == "resource_missing"
    assert error(in_path)["message"] == "No such customer: 'cus_none'"
    assert error(in_body)["param"] == "product"


def test_an_unknown_url_is_stripes_404(box: Box) -> None:
    answer = box.raw("GET", "/v1/made_up")
    assert answer.status_code == 404
    assert error(answer)["message"].startswith("Unrecognized request URL (GET: /v1/made_up).")


def test_lists_run_newest_first_and_page_both_ways(box: Box) -> None:
    made = [box.v1.customers.create({"name": f"c{n}"}).id for n in range(5)][::-1]

    first = box.v1.customers.list({"limit": 2})
    second = box.v1.customers.list({"limit": 2, "starting_after": made[1]})
    last = box.v1.customers.list({"limit": 2, "starting_after": made[3]})
    back = box.v1.customers.list({"limit": 2, "ending_before": made[3]})

    assert [c.id for c in first.data] == made[:2]
    assert [c.id for c in second.data] == made[2:4]
    assert [c.id for c in last.data] == made[4:]
    assert [c.id for c in back.data] == made[1:3]
    assert [page.has_more for page in (first, second, last, back)] == [True, True, False, True]
    assert [c.id for c in box.v1.customers.list({"limit": 2}).auto_paging_iter()] == made


@pytest.mark.parametrize("limit", [0, 101])
def test_a_page_holds_one_to_a_hundred(box: Box, limit: int) -> None:
    answer = box.raw("GET", f"/v1/customers?limit={limit}")
    assert (answer.status_code, error(answer)["param"]) == (400, "limit")


def test_an_unknown_cursor_is_refused(box: Box) -> None:
    answer = box.raw("GET", "/v1/customers?starting_after=cus_none")
    assert (answer.status_code, error(answer)["param"]) == (400, "starting_after")


def test_lists_filter_by_time(box: Box) -> None:
    old = box.v1.customers.create({}).created
    box.wait(3600)
    new = box.v1.customers.create({})
    assert [c.id for c in box.v1.customers.list({"created": {"gt": old}}).data] == [new.id]


def test_expand_follows_paths_into_lists(box: Box) -> None:
    box.subscribe()
    found = box.v1.subscriptions.list(
        {"expand": ["data.customer", "data.latest_invoice.payments.data.payment.payment_intent"]}
    ).data[0]
    assert isinstance(found.customer, stripe.Customer)
    assert isinstance(found.latest_invoice, stripe.Invoice)
    payments = found.latest_invoice.payments
    assert payments is not None
    intent = payments.data[0].payment.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert intent.status == "succeeded"


def test_expanding_what_is_not_there_is_refused(box: Box) -> None:
    customer = box.v1.customers.create({})
    answer = box.raw("GET", f"/v1/customers/{customer.id}?expand[]=shoes")
    assert (answer.status_code, error(answer)["param"]) == (400, "expand")
    assert error(answer)["message"].startswith("This property cannot be expanded (shoes).")


def test_metadata_merges_and_an_empty_value_removes(box: Box) -> None:
    customer = box.v1.customers.create({"metadata": {"a": "1", "b": "2"}})

    def metadata() -> Any:
        return box.raw("GET", f"/v1/customers/{customer.id}").json()["metadata"]

    box.v1.customers.update(customer.id, {"metadata": {"b": "", "c": "3"}})
    assert metadata() == {"a": "1", "c": "3"}
    box.v1.customers.update(customer.id, {"metadata": ""})
    assert metadata() == {}


def test_a_lookup_key_belongs_to_one_price(box: Box) -> None:
    first = box.price(lookup_key="leads_monthly")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        box.price(lookup_key="leads_monthly")
    assert refusal.value.param == "lookup_key"

    second = box.price(5900, lookup_key="leads_monthly", transfer_lookup_key=True)
    found = box.v1.prices.list({"lookup_keys": ["leads_monthly"]}).data
    assert [price.id for price in found] == [second.id]
    assert box.v1.prices.retrieve(first.id).lookup_key is None


def test_a_deleted_customer_stays_as_a_stub_and_loses_its_subscription(box: Box) -> None:
    subscription = box.subscribe()
    customer = str(subscription.customer)
    box.v1.customers.delete(customer)
    assert box.v1.customers.retrieve(customer).to_dict() == {
        "id": customer,
        "object": "customer",
        "deleted": True,
    }
    assert box.subscription(subscription.id).status == "canceled"
    assert box.v1.customers.list().data == []
