"""The account behind the keys. One account; it is always test mode."""

from sandbox.stripe import taxes
from sandbox.stripe.context import Tx
from sandbox.stripe.errors import missing
from sandbox.stripe.registry import Params, route
from sandbox.stripe.store import Obj

DEFAULT_ID = "acct_1HarborSandbox00"


@route("GET", "/v1/account")
def retrieve_own(tx: Tx, params: Params) -> Obj:
    account = tx.part("account", id=tx.config.account_id, object="account")
    return account | {
        "business_profile": tx.part("account_business_profile", name="Harbor Sandbox"),
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": taxes.SELLER,
        "created": 1_700_000_000,
        "default_currency": "usd",
        "details_submitted": True,
        "email": "billing@harbor.test",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {
            "branding": tx.part("account_branding_settings"),
            "card_payments": tx.part("account_card_payments_settings"),
            "dashboard": {"display_name": "Harbor Sandbox", "timezone": "Etc/UTC"},
            "payments": tx.part("account_payments_settings", statement_descriptor="HARBOR"),
        },
        "type": "standard",
    }


@route("GET", "/v1/accounts/{account}")
def retrieve(tx: Tx, params: Params, account: str) -> Obj:
    if account != tx.config.account_id:
        raise missing("account", account)
    return retrieve_own(tx, params)
