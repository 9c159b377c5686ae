"""The few pieces of HTML that the pages are made of. Everything from outside is escaped."""

from html import escape

from starlette.responses import HTMLResponse

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def page(base_url: str, title: str, body: str, status: int = 200) -> HTMLResponse:
    """A whole page: no script, no inline style, its own stylesheet."""
    document = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="{escape(base_url)}/static/pay.css">
</head><body><main>{body}</main></body></html>"""
    return HTMLResponse(document, status, {"Content-Security-Policy": POLICY})


def panel(title: str, body: str) -> str:
    heading = f"<h2>{escape(title)}</h2>" if title else ""
    return f'<section class="panel">{heading}{body}</section>'


def field(name: str, label: str, value: str = "", kind: str = "text", hint: str = "") -> str:
    note = f'<p class="soft" id="{name}-hint">{escape(hint)}</p>' if hint else ""
    described = f' aria-describedby="{name}-hint"' if hint else ""
    return (
        f'<div class="field"><label for="{name}">{escape(label)}</label><input id="{name}" '
        f'name="{name}" type="{kind}" value="{escape(value)}" autocomplete="off"{described}>'
        f"{note}</div>"
    )


def choice(name: str, label: str, options: list[tuple[str, str]], chosen: str = "") -> str:
    shown = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>'
        f"{escape(text)}</option>"
        for value, text in options
    )
    return (
        f'<div class="field"><label for="{name}">{escape(label)}</label>'
        f'<select id="{name}" name="{name}">{shown}</select></div>'
    )


def form(action: str, body: str) -> str:
    return f'<form method="post" action="{escape(action)}">{body}</form>'


def button(label: str, *, name: str = "", value: str = "", style: str = "") -> str:
    named = f' name="{escape(name)}" value="{escape(value)}"' if name else ""
    return f'<button class="{style}"{named}>{escape(label)}</button>'


def problem(text: str | None) -> str:
    return f'<p class="problem" role="alert">{escape(text)}</p>' if text else ""


def state(value: str) -> str:
    return f'<span class="state {escape(value)}">{escape(value.replace("_", " "))}</span>'


def rows(lines: list[tuple[str, str]]) -> str:
    """Pairs of a text and an amount."""
    shown = (
        f'<li><span>{escape(text)}</span><span class="num">{escape(amount)}</span></li>'
        for text, amount in lines
    )
    return f'<ul class="lines">{"".join(shown)}</ul>'


def link(url: str, label: str) -> str:
    return f'<a href="{escape(url)}">{escape(label)}</a>'
