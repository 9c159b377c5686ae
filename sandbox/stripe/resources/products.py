"""Products. Deleting one that has prices is refused, as Stripe does."""

import sqlite3

from sandbox.stripe.context import Tx, listing
from sandbox.stripe.errors import StripeError
from sandbox.stripe.registry import Params, assign, given, merge_metadata, page, route
from sandbox.stripe.resources import prices
from sandbox.stripe.store import Obj, new_id

FIELDS = (
    "active", "description", "images", "marketing_features", "name", "package_dimensions",
    "shippable", "statement_descriptor", "tax_code", "unit_label", "url",
)  # fmt: skip


@route("POST", "/v1/products")
def create(tx: Tx, params: Params) -> Obj:
    defaults = {"active": True, "images": [], "marketing_features": [], "metadata": {}}
    fields = {**defaults, **{name: params[name] for name in FIELDS if name in params}}
    try:
        product = tx.new(
            "product", **fields, id=params.get("id") or new_id("product"), updated=tx.now
        )
    except sqlite3.IntegrityError as error:
        message = "Product already exists."
        raise StripeError(message, code="resource_already_exists", param="id") from error
    merge_metadata(product, params)
    tx.emit("product.created", product)
    if "default_price_data" in params:
        price = prices.create(tx, {**params["default_price_data"], "product": product["id"]})
        with tx.changing(product, "product.updated"):
            product["default_price"] = price["id"]
    return product


@route("GET", "/v1/products/{id}")
def retrieve(tx: Tx, params: Params, product: str) -> Obj:
    return tx.get("product", product)


@route("POST", "/v1/products/{id}")
def update(tx: Tx, params: Params, product: str) -> Obj:
    obj = tx.get("product", product)
    with tx.changing(obj, "product.updated"):
        for name in ("images", "marketing_features"):
            if params.get(name) == "":
                params[name] = []
        assign(obj, params, *FIELDS, "default_price")
        merge_metadata(obj, params)
        obj["updated"] = tx.now
    return obj


@route("DELETE", "/v1/products/{id}")
def delete(tx: Tx, params: Params, product: str) -> Obj:
    obj = tx.get("product", product)
    if tx.store.select("price", product=product):
        raise StripeError(
            "This product cannot be deleted because it has one or more user-created prices."
        )
    tx.emit("product.deleted", obj)
    tx.store.run("DELETE FROM objects WHERE id = ?", product)
    return {"id": product, "object": "product", "deleted": True}


@route("GET", "/v1/products")
def index(tx: Tx, params: Params) -> Obj:
    equal = given(params, "active", "shippable", "url", id="ids")
    return page(tx, "product", params, "/v1/products", **equal)


@route("GET", "/v1/products/{product}/features")
def features(tx: Tx, params: Params, product: str) -> Obj:
    """No entitlements here; the list is there because mirrors ask for it."""
    return listing([], f"/v1/products/{tx.get('product', product)['id']}/features")
