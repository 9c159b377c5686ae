"""The pages under /mail/ and the JSON under /mail/_control/."""

from __future__ import annotations

import re
from datetime import datetime
from html import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.mail.store import Mail, Store
from sandbox.pages import page

SHOWN = 200
_HTML_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "img-src data: https: http:; style-src 'unsafe-inline'; frame-ancestors 'self'"
)  # mails style themselves inline; scripts, forms and frames stay off


def create_app(store: Store) -> Starlette:
    """The web side of a store, to be mounted under /mail."""
    app = Starlette(
        routes=[
            Route("/", _list, name="list"),
            Route("/{mail:int}/", _show),
            Route("/{mail:int}/html", _html),
            Route("/clear", _clear, methods=["POST"]),
            Route("/_control/messages", _messages),
            Route("/_control/reset", _reset, methods=["POST"]),
        ]
    )
    app.state.store = store
    return app


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


async def _list(request: Request) -> Response:
    search = request.query_params.get("q", "")
    mails = _store(request).newest(text=search)
    if not mails and not search:
        return page("Mail", _EMPTY)
    shown = "".join(_line(mail) for mail in mails[:SHOWN])
    more = f'<p class="quiet">The newest {SHOWN} of {len(mails)}.</p>' if len(mails) > SHOWN else ""
    nothing = '<div class="empty"><h2>Nothing found</h2><p>No mail contains these words.</p></div>'
    return page(
        "Mail",
        _BAR.format(search=escape(search))
        + (f'<ul class="list">{shown}</ul>{more}' if mails else nothing),
    )


_EMPTY = (
    '<div class="empty"><h2>No mail yet</h2>'
    "<p>Everything that Harbor sends to anybody arrives here. "
    "Sign up or invite a colleague, then come back.</p></div>"
)
_BAR = (
    '<div class="bar"><form role="search">'
    '<input type="search" name="q" value="{search}" aria-label="Search mails" '
    'placeholder="Subject, address or text"><button>Search</button></form>'
    '<form class="end" method="post" action="/mail/clear"><button>Delete all</button></form></div>'
)


def _line(mail: Mail) -> str:
    preview = escape(" ".join(mail.text.split())[:120])
    to, subject = escape(", ".join(mail.recipients)), escape(mail.subject or "(no subject)")
    return (
        f'<li><a href="/mail/{mail.id}/"><span class="to">{to}</span>'
        f'<span class="subject">{subject} <span class="preview">{preview}</span></span>'
        f"{_time(mail.received)}</a></li>"
    )


def _time(at: datetime) -> str:
    return f'<time datetime="{at.isoformat()}">{at:%d %b %H:%M:%S}</time>'


async def _show(request: Request) -> Response:
    mail = _store(request).get(request.path_params["mail"])
    if mail is None:
        return page(
            "This mail is gone", "<p>It was deleted.</p>", crumbs=(("/mail/", "Mail"),), status=404
        )
    fields = (("From", mail.from_ or mail.sender), ("To", ", ".join(mail.recipients)))
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in fields)
    body = f'<dl class="fields">{rows}<dt>Received</dt><dd>{_time(mail.received)} UTC</dd></dl>'
    if mail.html:
        source = f"/mail/{mail.id}/html"
        body += (
            f'<iframe src="{source}" title="The mail as HTML" '
            'sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>'
            f'<p class="quiet"><a href="{source}">Open the HTML alone</a></p>'
        )
    if mail.text:
        body += f'<h2>Text</h2><pre class="text">{linked(mail.text)}</pre>'
    return page(mail.subject or "(no subject)", body, crumbs=(("/mail/", "Mail"),))


async def _html(request: Request) -> Response:
    mail = _store(request).get(request.path_params["mail"])
    if mail is None or not mail.html:
        return Response("", status_code=404)
    headers = {
        "Content-Security-Policy": _HTML_POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(f'<base target="_blank">{mail.html}', headers=headers)


def linked(text: str) -> str:
    """The text escaped, with its web addresses as links."""
    parts = re.split(r"(https?://[^\s<>\"]+[^\s<>\".,;:!?)\]}'])", text)
    return "".join(
        f'<a href="{escape(part)}">{escape(part)}</a>' if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


async def _clear(request: Request) -> Response:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return JSONResponse({"error": "Only from the page itself."}, status_code=403)
    _store(request).clear()
    return RedirectResponse("/mail/", status_code=303)


async def _messages(request: Request) -> Response:
    """GET ?to=&q=: mails, newest first, whole."""
    query = request.query_params
    mails = _store(request).newest(to=query.get("to", ""), text=query.get("q", ""))
    return JSONResponse({"count": len(mails), "messages": [mail.shown() for mail in mails[:SHOWN]]})


async def _reset(request: Request) -> Response:
    """POST: deletes all mails."""
    _store(request).clear()
    return JSONResponse({"reset": True})
