"""Webhook endpoints. The secret is shown once, in the answer that creates the endpoint."""

from sandbox.stripe.context import Tx, public
from sandbox.stripe.registry import Params, assign, merge_metadata, page, route
from sandbox.stripe.store import Obj, token


@route("POST", "/v1/webhook_endpoints")
def create(tx: Tx, params: Params) -> Obj:
    endpoint = tx.new(
        "webhook_endpoint",
        api_version=params.get("api_version"),
        description=params.get("description"),
        enabled_events=params["enabled_events"],
        metadata={},
        status="enabled",
        url=params["url"],
        _secret=f"whsec_{token(32)}",
    )
    merge_metadata(endpoint, params)
    return public(endpoint) | {"secret": endpoint["_secret"]}  # type: ignore[no-any-return]


@route("GET", "/v1/webhook_endpoints/{webhook_endpoint}")
def retrieve(tx: Tx, params: Params, endpoint: str) -> Obj:
    return tx.get("webhook_endpoint", endpoint)


@route("POST", "/v1/webhook_endpoints/{webhook_endpoint}")
def update(tx: Tx, params: Params, endpoint: str) -> Obj:
    obj = tx.get("webhook_endpoint", endpoint)
    with tx.changing(obj):
        assign(obj, params, "url", "enabled_events", "description")
        merge_metadata(obj, params)
        if "disabled" in params:
            obj["status"] = "disabled" if params["disabled"] else "enabled"
    return obj


@route("DELETE", "/v1/webhook_endpoints/{webhook_endpoint}")
def delete(tx: Tx, params: Params, endpoint: str) -> Obj:
    tx.get("webhook_endpoint", endpoint)
    tx.store.run("DELETE FROM objects WHERE id = ?", endpoint)
    return {"id": endpoint, "object": "webhook_endpoint", "deleted": True}


@route("GET", "/v1/webhook_endpoints")
def index(tx: Tx, params: Params) -> Obj:
    return page(tx, "webhook_endpoint", params, "/v1/webhook_endpoints")


DEFAULT_ID = "we_1HarborDefault0000000000"


def ensure_default(tx: Tx) -> None:
    """The product's own endpoint, from APP_URL and the shared secret; there from the start."""
    url = f"{tx.config.app_url.rstrip('/')}/webhooks/stripe/"
    endpoint = tx.store.find(DEFAULT_ID)
    if endpoint is None:
        endpoint = tx.new(
            "webhook_endpoint", id=DEFAULT_ID, enabled_events=["*"], metadata={},
            status="enabled", url=url, _secret="",
        )  # fmt: skip
    endpoint |= {"url": url, "_secret": tx.config.webhook_secret}
    tx.store.save(endpoint)
