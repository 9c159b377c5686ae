"""The few HTML pages of the sandbox: one frame, no inline script or style, everything escaped."""

from __future__ import annotations

from html import escape
from pathlib import Path

from starlette.responses import HTMLResponse

STATIC = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def page(
    title: str, body: str, *, crumbs: tuple[tuple[str, str], ...] = (), status: int = 200
) -> HTMLResponse:
    """A whole page. `title` is escaped; `body` is HTML already; `crumbs` are (link, text) above the
    title.
    """
    trail = "".join(
        f'<a href="{escape(link)}">{escape(text)}</a>' for link, text in (("/", "Sandbox"), *crumbs)
    )
    document = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} · Harbor sandbox</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/sandbox.css">
</head>
<body>
<header><nav aria-label="Breadcrumb">{trail}</nav></header>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>"""
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }
    return HTMLResponse(document, status_code=status, headers=headers)
