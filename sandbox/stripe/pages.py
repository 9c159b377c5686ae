"""The pages that people see: Checkout, the bank's question, the portal, invoices.

They are plain forms: each POST does one thing in one transaction and redirects.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.stripe import billing, checkout_form, clock, html, paying, portal_page
from sandbox.stripe.api import Api
from sandbox.stripe.context import Tx
from sandbox.stripe.money import TIMES, display
from sandbox.stripe.resources import intents, setup_intents
from sandbox.stripe.store import Obj

STATIC = Path(__file__).parent / "static"
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass
class Pages:
    """The pages of one sandbox."""

    api: Api

    def routes(self) -> list[BaseRoute]:
        table: list[tuple[str, str, Endpoint]] = [
            ("GET", "/checkout/{id}", self.checkout),
            ("POST", "/checkout/{id}", self.pay),
            ("GET", "/checkout/{id}/confirmed", self.confirmed),
            ("GET", "/3ds/{id}", self.bank),
            ("POST", "/3ds/{id}", self.answer_bank),
            ("GET", "/portal/{id}", self.portal),
            ("POST", "/portal/{id}", self.use_portal),
            ("GET", "/invoice/{id}", self.invoice),
            ("POST", "/invoice/{id}", self.pay_invoice),
            ("GET", "/invoice/{id}/pdf", self.invoice),
            ("GET", "/receipts/{id}", self.receipt),
        ]
        routes = [Route(path, run, methods=[method]) for method, path, run in table]
        return [*routes, Mount("/static", StaticFiles(directory=STATIC))]

    async def checkout(self, request: Request) -> Response:
        session = self._find(request, "checkout.session")
        if session is None:
            return self._gone("This Checkout page does not exist.")
        if session["status"] == "complete":
            return RedirectResponse(paying.success_url(session), 303)
        if session["status"] == "expired":
            return self._gone("This Checkout page has expired. Go back and start again.")
        return self._checkout_page(session, None)

    async def pay(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        with self.api.store.transaction():
            session = self._find(request, "checkout.session")
            if session is None:
                return self._gone("This Checkout page does not exist.")
            outcome = paying.submit(self._tx(), session, form)
        return self._outcome(session, outcome)

    async def confirmed(self, request: Request) -> Response:
        with self.api.store.transaction():
            session = self._find(request, "checkout.session")
            if session is None:
                return self._gone("This Checkout page does not exist.")
            outcome = paying.confirmed(self._tx(), session)
        return self._outcome(session, outcome)

    async def bank(self, request: Request) -> Response:
        intent = self.api.store.find(request.path_params["id"])
        if intent is None or intent.get("status") != "requires_action":
            return self._gone("There is nothing to confirm here.")
        amount = intent.get("amount")
        asked = display(amount, intent["currency"]) if amount else "saving your card"
        body = (
            '<section class="panel"><span class="test">TEST BANK</span>'
            f"<h1>Confirm it is you</h1><p>Harbor Sandbox asks to confirm {escape(asked)}.</p>"
            + html.form("", html.button("Confirm", name="passed", value="yes")
            + "<p></p>" + html.button("Refuse", name="passed", value="no", style="quiet"))
            + "</section>"
        )  # fmt: skip
        return html.page(self._base, "Confirm it is you", body)

    async def answer_bank(self, request: Request) -> Response:
        form = await request.form()
        with self.api.store.transaction():
            intent = self.api.store.find(request.path_params["id"])
            if intent is None or intent.get("status") != "requires_action":
                return self._gone("There is nothing to confirm here.")
            action = intent["next_action"].get("redirect_to_url") or {}
            module = intents if intent["object"] == "payment_intent" else setup_intents
            module.authenticate(self._tx(), intent, passed=form.get("passed") == "yes")
        self.api.wake()
        if action.get("return_url"):
            return RedirectResponse(action["return_url"], 303)
        return self._gone("Thank you. You can close this page.", 200)

    async def portal(self, request: Request) -> Response:
        session = self._find(request, "billing_portal.session")
        if session is None:
            return self._gone("This page does not exist.")
        return html.page(self._base, "Your billing", portal_page.render(self._tx(), session))

    async def use_portal(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        with self.api.store.transaction():
            session = self._find(request, "billing_portal.session")
            if session is None:
                return self._gone("This page does not exist.")
            tx = self._tx()
            message = portal_page.act(tx, session, form)
            body = portal_page.render(tx, session, message)
        self.api.wake()
        if message is None:
            return RedirectResponse(session["url"], 303)
        return html.page(self._base, "Your billing", body)

    async def invoice(self, request: Request) -> Response:
        invoice = self._find(request, "invoice")
        if invoice is None:
            return self._gone("This invoice does not exist.")
        currency = invoice["currency"]
        lines = [
            (row["description"], display(row["amount"], currency))
            for row in invoice["lines"]["data"]
        ]
        off = sum(entry["amount"] for entry in invoice["total_discount_amounts"])
        taxed = sum(entry["amount"] for entry in invoice["total_taxes"])
        sums = [
            *([("Discount", -off)] if off else []),
            *([("Tax", taxed)] if taxed else []),
            ("Total", invoice["total"]),
            ("Paid", invoice["amount_paid"]),
            ("Due", invoice["amount_remaining"]),
        ]
        body = (
            f"<h1>Invoice {escape(invoice['number'] or 'draft')}</h1>"
            f'<p class="soft">{_day(invoice["created"])} · '
            f"{escape(invoice['customer_email'] or '')} {html.state(invoice['status'])}</p>"
            + html.rows(lines)
            + html.rows([(label, display(amount, currency)) for label, amount in sums])
        )
        if invoice["status"] == "open":
            body += html.form("", html.button("Pay with the card on file", name="pay", value="yes"))
        return html.page(self._base, "Invoice", html.panel("", body))

    async def pay_invoice(self, request: Request) -> Response:
        with self.api.store.transaction():
            invoice = self._find(request, "invoice")
            if invoice is None or invoice["status"] != "open":
                return self._gone("There is nothing to pay here.")
            tx, back = self._tx(), invoice["_hosted"]
            method = billing.method_for(tx, invoice)
            billing.collect(tx, invoice, method, automatic=False, return_url=back)
            paying_by = billing.payment_of(tx, invoice)["payment"]["payment_intent"]
            intent = tx.get("payment_intent", paying_by)
        self.api.wake()
        asks = intent["status"] == "requires_action"
        return RedirectResponse(f"{self._base}/3ds/{intent['id']}" if asks else back, 303)

    async def receipt(self, request: Request) -> Response:
        charge = self._find(request, "charge")
        if charge is None:
            return self._gone("This receipt does not exist.")
        amount = display(charge["amount"], charge["currency"])
        lines = [
            ("Paid", amount),
            ("Refunded", display(charge["amount_refunded"], charge["currency"])),
        ]
        return html.page(self._base, "Receipt", html.panel("Receipt", html.rows(lines)))

    def _checkout_page(self, session: Obj, problem: str | None) -> HTMLResponse:
        status = 402 if problem else 200
        body = f'<div class="pay">{_summary(session)}{checkout_form.render(session, problem)}</div>'
        return html.page(self._base, "Checkout", body, status)

    def _outcome(self, session: Obj, outcome: paying.Outcome) -> Response:
        self.api.wake()
        if outcome.url is not None:
            return RedirectResponse(outcome.url, 303)
        return self._checkout_page(session, outcome.problem)

    def _gone(self, text: str, status: int = 404) -> HTMLResponse:
        return html.page(self._base, "Checkout", html.panel("", f"<p>{escape(text)}</p>"), status)

    def _find(self, request: Request, kind: str) -> Obj | None:
        return self.api.store.find(request.path_params["id"], kind)

    def _tx(self) -> Tx:
        return Tx(self.api.store, self.api.config, clock.now(self.api.store))

    @property
    def _base(self) -> str:
        return self.api.config.base_url


def _summary(session: Obj) -> str:
    currency = session["currency"]
    lines = [_summary_line(row, currency) for row in session["_line_items"]]
    lines += _parts(session)
    total = display(session["amount_total"], currency) if currency else "Save a card"
    days = session["_subscription_data"].get("trial_period_days")
    trial = f'<p class="soft">{days} days free, then {_renewal(session)}</p>' if days else ""
    back = session["cancel_url"]
    leave = f"<p>{html.link(back, 'Cancel and go back')}</p>" if back else ""
    return (
        '<section><p><span class="test">TEST MODE</span></p><h1>Harbor Sandbox</h1>'
        f'<p class="total">{escape(total)}</p>{trial}{html.rows(lines)}{leave}</section>'
    )


def _summary_line(row: Obj, currency: str) -> tuple[str, str]:
    if row["quantity"] is None:
        return f"{row['description']}, by usage", ""
    amount = display(row["amount_subtotal"], currency)
    return f"{row['quantity']} {TIMES} {row['description']}", amount


def _parts(session: Obj) -> list[tuple[str, str]]:
    """Discount and tax, when there is some."""
    details = session["total_details"]
    parts = [("Discount", -details["amount_discount"]), ("Tax", details["amount_tax"])]
    return [(label, display(amount, session["currency"])) for label, amount in parts if amount]


def _renewal(session: Obj) -> str:
    rows = [row for row in session["_line_items"] if row["price"]["type"] == "recurring"]
    amount = display(sum(row["amount_total"] for row in rows), session["currency"])
    return f"{amount} every {rows[0]['price']['recurring']['interval']}"


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%-d %B %Y")
