"""The Stripe stand-in as one ASGI application: /v1, the pages, and /_control."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.stripe import clock, lifecycle, taxes
from sandbox.stripe.api import Api
from sandbox.stripe.context import Config, Tx
from sandbox.stripe.contract import Contract
from sandbox.stripe.control import Control
from sandbox.stripe.dispatcher import Dispatcher
from sandbox.stripe.pages import Pages
from sandbox.stripe.resources import (
    account,
    balances,
    charges,
    checkout,
    clocks,
    coupons,
    customers,
    events,
    intents,
    invoices,
    meters,
    methods,
    portal,
    prices,
    products,
    promotion_codes,
    refunds,
    schedules,
    setup_intents,
    subscription_items,
    subscriptions,
    tax,
    webhook_endpoints,
)
from sandbox.stripe.store import Store

# Importing a family registers its routes and timers.
FAMILIES = (
    account, balances, charges, checkout, coupons, customers, events, intents, invoices, lifecycle,
    meters, methods, portal, prices, products, promotion_codes, refunds, schedules, setup_intents,
    subscription_items, subscriptions, tax, clocks, webhook_endpoints,
)  # fmt: skip
CONTRACT = Path(__file__).parents[2] / "tests" / "contracts" / "stripe.json.gz"
DEFAULT_SECRET = "whsec_" + "sandbox" * 4


def create_app(
    state_dir: Path, *, app_url: str, base_url: str, contract: Path | None = None
) -> Starlette:
    """The application. `base_url` is where it is mounted, as browsers see it
    (http://127.0.0.1:9100/stripe); webhooks go to `app_url`/webhooks/stripe/, signed with
    STRIPE_WEBHOOK_SECRET; the account is STRIPE_ACCOUNT_ID. With `contract` (or SANDBOX_CONTRACT)
    every request and answer is checked against that file, and what broke it is listed at
    /_control/violations.
    The state is in `state_dir`/stripe.sqlite3; one process at a time.
    """
    checked = contract or _from_environment("SANDBOX_CONTRACT")
    config = Config(
        base_url=base_url.rstrip("/"),
        app_url=app_url,
        webhook_secret=os.environ.get("STRIPE_WEBHOOK_SECRET", "").split(",")[0] or DEFAULT_SECRET,
        account_id=os.environ.get("STRIPE_ACCOUNT_ID") or account.DEFAULT_ID,
        contract=Contract(checked or CONTRACT),
    )
    store = Store(Path(state_dir) / "stripe.sqlite3")
    with store.transaction():
        tx = Tx(store, config, clock.now(store))
        webhook_endpoints.ensure_default(tx)
        taxes.ensure_rates(tx)
    dispatcher = Dispatcher(store, config)
    api = Api(store, config, dispatcher.wake, [] if checked else None)
    control = Control(api, dispatcher)
    pages = Pages(api)
    return Starlette(
        routes=[
            Mount("/v1", api),
            Mount("/_control", routes=control.routes()),
            *pages.routes(),
        ],
        lifespan=_lifespan(dispatcher),
        middleware=[Middleware(Awake, dispatcher=dispatcher)],
    )


class Awake:
    """Starts the background with the first request, because a mount doesn't run the lifespan of
    what is mounted. The host should run it (see sandbox/stripe/README.md): then what a killed
    process left undone goes on at once."""

    def __init__(self, app: ASGIApp, dispatcher: Dispatcher) -> None:
        self.app, self.dispatcher = app, dispatcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.dispatcher.start()
        await self.app(scope, receive, send)


def _lifespan(
    dispatcher: Dispatcher,
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        await dispatcher.start()
        try:
            yield
        finally:
            await dispatcher.stop()
            dispatcher.store.close()

    return lifespan


def _from_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None
