"""The customer portal: configurations and the sessions that open it."""

from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError
from sandbox.stripe.registry import Params, assign, given, merge_metadata, page, route
from sandbox.stripe.resources import customers
from sandbox.stripe.store import Obj

REASONS = ["too_expensive", "missing_features", "switched_service", "unused", "other"]


@route("POST", "/v1/billing_portal/configurations")
def create_configuration(tx: Tx, params: Params) -> Obj:
    configuration = _configuration(tx, is_default=False)
    _assign(configuration, params)
    tx.emit("billing_portal.configuration.created", configuration)
    return configuration


@route("GET", "/v1/billing_portal/configurations/{configuration}")
def retrieve_configuration(tx: Tx, params: Params, configuration: str) -> Obj:
    return tx.get("billing_portal.configuration", configuration)


@route("POST", "/v1/billing_portal/configurations/{configuration}")
def update_configuration(tx: Tx, params: Params, configuration: str) -> Obj:
    obj = tx.get("billing_portal.configuration", configuration)
    with tx.changing(obj, "billing_portal.configuration.updated"):
        _assign(obj, params)
        obj["updated"] = tx.now
    return obj


@route("GET", "/v1/billing_portal/configurations")
def index_configurations(tx: Tx, params: Params) -> Obj:
    url = "/v1/billing_portal/configurations"
    kind = "billing_portal.configuration"
    return page(tx, kind, params, url, **given(params, "active", "is_default"))


@route("POST", "/v1/billing_portal/sessions")
def create_session(tx: Tx, params: Params) -> Obj:
    if "customer" not in params:
        raise StripeError(
            "Missing required param: customer.", code="parameter_missing", param="customer"
        )
    customer = customers.existing(tx, params["customer"], "customer")
    chosen = params.get("configuration")
    configuration = (
        tx.get("billing_portal.configuration", chosen, "configuration") if chosen else _default(tx)
    )
    session = tx.new(
        "billing_portal.session",
        configuration=configuration["id"],
        customer=customer["id"],
        flow=_flow(tx, params["flow_data"]) if "flow_data" in params else None,
        locale=params.get("locale"),
        return_url=params.get("return_url") or configuration["default_return_url"],
        url="",
    )
    session["url"] = f"{tx.config.base_url}/portal/{session['id']}"
    tx.emit("billing_portal.session.created", session)
    return session


def _default(tx: Tx) -> Obj:
    found = tx.store.select("billing_portal.configuration", is_default=True)
    return found[0] if found else _configuration(tx, is_default=True)


def _configuration(tx: Tx, *, is_default: bool) -> Obj:
    cancel = {
        "cancellation_reason": {"enabled": False, "feedback_options": None, "options": REASONS},
        "enabled": True,
        "mode": "at_period_end",
        "proration_behavior": "none",
    }
    update = tx.part(
        "portal_subscription_update",
        default_allowed_updates=[],
        enabled=False,
        proration_behavior="none",
        schedule_at_period_end={"conditions": []},
        trial_update_behavior="end_trial",
    )
    payment = tx.part("portal_payment_method_update", enabled=True)
    return tx.new(
        "billing_portal.configuration",
        active=True,
        business_profile=tx.part("portal_business_profile"),
        features={
            "customer_update": {"allowed_updates": [], "enabled": False},
            "invoice_history": {"enabled": True},
            "payment_method_update": payment,
            "subscription_cancel": cancel,
            "subscription_update": update,
        },
        is_default=is_default,
        login_page={"enabled": False, "url": None},
        metadata={},
        updated=tx.now,
    )


def _assign(configuration: Obj, params: Params) -> None:
    assign(configuration, params, "active", "default_return_url", "name")
    configuration["business_profile"] |= params.get("business_profile", {})
    for name, sent in params.get("features", {}).items():
        cleared = {key: [] if value == "" else value for key, value in sent.items()}
        configuration["features"][name] |= cleared
    merge_metadata(configuration, params)


def _flow(tx: Tx, sent: Obj) -> Obj:
    """The one thing this visit is for, with null for the others."""
    flow = tx.part("portal_flows_flow", type=sent["type"])
    after = {"hosted_confirmation": None, "redirect": None, "type": "portal_homepage"}
    flow["after_completion"] = after | sent.get("after_completion", {})
    for name in ("subscription_cancel", "subscription_update"):
        if name in sent:
            tx.get("subscription", sent[name]["subscription"], f"flow_data[{name}][subscription]")
            blank = {"retention": None} if name == "subscription_cancel" else {}
            flow[name] = blank | sent[name]
    if "subscription_update_confirm" in sent:
        flow["subscription_update_confirm"] = {
            "discounts": None,
            **sent["subscription_update_confirm"],
        }
    return flow
