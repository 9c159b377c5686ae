"""A customer's credit balance: negative is credit. Every movement of it is a transaction."""

from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError, missing
from sandbox.stripe.registry import Params, assign, given, merge_metadata, page, route
from sandbox.stripe.store import Obj


@route("POST", "/v1/customers/{customer}/balance_transactions")
def create(tx: Tx, params: Params, customer: str) -> Obj:
    from sandbox.stripe.resources import customers

    owner, currency = customers.existing(tx, customer), params["currency"]
    if owner["currency"] not in (None, currency):
        raise StripeError(
            f"This customer's currency is {owner['currency']}, not {currency}.", param="currency"
        )
    with tx.changing(owner, "customer.updated"):
        owner["currency"] = currency
        made = move(tx, owner, params["amount"], "adjustment", currency)
    assign(made, params, "description")
    merge_metadata(made, params)
    return made


@route("GET", "/v1/customers/{customer}/balance_transactions/{transaction}")
def retrieve(tx: Tx, params: Params, customer: str, transaction: str) -> Obj:
    found = tx.get("customer_balance_transaction", transaction)
    if found["customer"] != customer:
        raise missing("customer_balance_transaction", transaction)
    return found


@route("POST", "/v1/customers/{customer}/balance_transactions/{transaction}")
def update(tx: Tx, params: Params, customer: str, transaction: str) -> Obj:
    found = retrieve(tx, params, customer, transaction)
    with tx.changing(found):
        assign(found, params, "description")
        merge_metadata(found, params)
    return found


@route("GET", "/v1/customers/{customer}/balance_transactions")
def index(tx: Tx, params: Params, customer: str) -> Obj:
    tx.get("customer", customer)
    url = f"/v1/customers/{customer}/balance_transactions"
    equal = given(params, "invoice")
    return page(tx, "customer_balance_transaction", params, url, customer=customer, **equal)


def move(
    tx: Tx, customer: Obj, amount: int, kind: str, currency: str, invoice: str | None = None
) -> Obj:
    """Adds `amount` (negative: credit) to the balance and writes the movement down."""
    customer["balance"] += amount
    tx.store.save(customer)
    return tx.new(
        "customer_balance_transaction",
        amount=amount,
        currency=currency,
        customer=customer["id"],
        ending_balance=customer["balance"],
        invoice=invoice,
        metadata={},
        type=kind,
    )
