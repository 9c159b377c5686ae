"""Mails are hostile HTML: only their text reaches a page, and Django escapes that.

Markup, styles, scripts, images and trackers are gone; paragraphs, line breaks, lists and the target
of a link that says something else stay readable.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

DROPPED = frozenset({"script", "style", "head", "title", "template", "svg", "noscript", "object"})
BLOCKS = frozenset(
    "p div tr table ul ol blockquote section article header footer h1 h2 h3 h4 h5 h6 pre".split()  # noqa: SIM905
)
LONGEST = 200_000  # characters of HTML that are read
SPACES = re.compile(r"[ \t\r\f\v\u00a0]+")
TAG = re.compile(r"<[^>]*>?")
BLANK_LINES = re.compile(r"\n{3,}")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0
        self.href = ""
        self.linked = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self.hidden = 0  # a head that was left open ends here, as in a browser
        elif tag in DROPPED:
            self.hidden += 1
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in BLOCKS:
            self.parts.append("\n")
        elif tag == "a":
            self.href, self.linked = dict(attrs).get("href") or "", ""

    def handle_endtag(self, tag: str) -> None:
        if tag in DROPPED:
            self.hidden = max(self.hidden - 1, 0)
        elif tag in BLOCKS:
            self.parts.append("\n")
        elif tag == "a":
            said = self.linked.strip()
            if self.href.startswith(("http://", "https://")) and self.href != said:
                self.parts.append(f" ({self.href})")
            self.href = ""

    def handle_data(self, data: str) -> None:
        if self.hidden:
            return
        text = data.replace("\n", " ")
        self.linked += text
        self.parts.append(text)


def text_of(html: str) -> str:
    """Return the readable text of a mail. Never raises; text without markup comes back as it is."""
    if "<" not in html:
        return html.strip()
    lines = (SPACES.sub(" ", line).strip() for line in _read(html[:LONGEST]).split("\n"))
    return BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _read(html: str) -> str:
    reader = _Reader()
    try:
        reader.feed(html)
        reader.close()
    except AssertionError:  # the library's answer to a marked section that nobody knows
        return TAG.sub(" ", html)
    return "".join(reader.parts)
