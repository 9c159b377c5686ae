"""The stand-ins under one roof: an index page, and each under its own path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox import mail, smartlead, stripe
from sandbox.mail import Store
from sandbox.pages import STATIC, page


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where things are: the sandbox itself (no slash at the end), its SMTP port, and Harbor."""

    base_url: str
    smtp_port: int
    app_url: str


def create_app(
    state: Path, addresses: Addresses, store: Store, *, contract: Path | None = None
) -> Starlette:
    """The whole sandbox; keeps its state in folders under `state`."""
    stand_ins: list[tuple[str, Starlette]] = [
        ("/smartlead", smartlead.create_app(state / "smartlead")),
        ("/mail", mail.create_app(store)),
        (
            "/stripe",
            stripe.create_app(
                state / "stripe",
                app_url=addresses.app_url,
                base_url=f"{addresses.base_url}/stripe",
                contract=contract,
            ),
        ),
    ]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for _, stand_in in stand_ins:  # Starlette runs no lifespan of what is mounted
                await stack.enter_async_context(stand_in.router.lifespan_context(stand_in))
            yield

    app = Starlette(
        routes=[
            Route("/", _index),
            Route("/health", _health),
            Mount("/static", StaticFiles(directory=STATIC)),
            *(Mount(path, app=stand_in) for path, stand_in in stand_ins),
        ],
        lifespan=lifespan,
    )
    app.state.addresses = addresses
    return app


async def _health(request: Request) -> Response:
    return JSONResponse({"service": "harbor-sandbox"})


async def _index(request: Request) -> Response:
    known: Addresses = request.app.state.addresses
    cards = (
        (
            "Mail", "/mail/", "Everything that Harbor sends, to read and click.",
            f"EMAIL_URL=smtp://127.0.0.1:{known.smtp_port}",
        ),
        (
            "SmartLead", "/smartlead/_control/accounts",
            "The key sl_demo_5000_6 is an account with 5,000 leads in 6 campaigns.",
            f"SMARTLEAD_API_BASE={known.base_url}/smartlead/api/v1",
        ),
        (
            "Stripe", "/stripe/_control/", "Checkout, portal, invoices and signed webhooks.",
            f"STRIPE_API_BASE={known.base_url}/stripe",
        ),
    )  # fmt: skip
    items = "".join(
        f'<li class="card"><h2><a href="{link}">{name}</a></h2><p>{escape(what)}</p>'
        f"<p><code>{escape(setting)}</code></p></li>"
        for name, link, what, setting in cards
    )
    lead = (
        "<p>Stand-ins for the services that Harbor talks to. Nothing here reaches the outside, "
        "and no card is charged. "
        f'Harbor itself is at <a href="{escape(known.app_url)}">{escape(known.app_url)}</a>.</p>'
    )
    return page("Stand-ins", f'{lead}<ul class="cards">{items}</ul>')
