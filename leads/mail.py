"""Mails are hostile HTML: only their text reaches a page, and Django escapes that.

Markup, styles, scripts, images and trackers are gone; paragraphs, line breaks, lists and the target
of a link that says something else stay readable. The work is linear in the length, whatever the
mail holds (html.parser needs minutes for some mails of 200 kB): hence possessive patterns, `gone`.
"""

from __future__ import annotations

import html
import re

BLOCKS = frozenset(
    "p div tr table ul ol blockquote section article header footer h1 h2 h3 h4 h5 h6 pre".split()  # noqa: SIM905
)
TO_THE_END = frozenset({"script", "style", "title", "iframe", "noframes", "noembed"})
DROPPED = TO_THE_END | {"svg", "template"}  # with what is in them
LONGEST = 100_000  # characters of HTML that are read
SHOWN = 20_000  # characters of text that are shown
CUT = "\n\n[The rest of this message is left out here.]"
LONGEST_LINK = 200

# A comment, a declaration, or a tag; quotes count after an equals sign only, as in a browser.
MARKUP = re.compile(
    r"""<!--.*?(?:-->|\Z)
      | <[!?][^>]*+(?:>|\Z)
      | </(?P<end>[a-z][^\s/>]{0,40}+)[^>]*+(?:>|\Z)
      | <(?P<start>[a-z][^\s/>]{0,40}+)
         (?P<attrs>(?:=\s*+"[^"]*+"|=\s*+'[^']*+'|[^>])*+)(?:>|\Z)
      | </[^>]*+(?:>|\Z)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
HREF = re.compile(r"""(?:^|\s)href\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""", re.IGNORECASE)
SPACES = re.compile(r"[ \t\r\f\v\u00a0]+")
BLANK_LINES = re.compile(r"\n{3,}")
ABSURD_NUMBER = re.compile(r"&#(?:x[0-9a-f]{7,}+|[0-9]{8,}+);?", re.IGNORECASE)


def text_of(body: str) -> str:
    """Return the readable text of a mail. Never raises. Not safe as HTML: let Django escape it."""
    if "<" not in body:
        text = _plain(body[:LONGEST]).strip()
    else:
        lines = (SPACES.sub(" ", line).strip() for line in _read(_bounded(body)).split("\n"))
        text = BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()
    if len(text) > SHOWN or len(body) > LONGEST:
        return text[:SHOWN].rstrip() + CUT
    return text


def _bounded(body: str) -> str:
    if len(body) <= LONGEST:
        return body
    body = body[:LONGEST]
    tag = body.rfind("<")
    return body[:tag] if tag > body.rfind(">") else body


def _plain(data: str) -> str:
    """Resolve entities; a number that no character has (or a mile of digits) is no character."""
    return html.unescape(ABSURD_NUMBER.sub("\ufffd", data))


def _read(body: str) -> str:
    markup_ends = body.rfind(">") + 1  # a "<" after the last ">" begins nothing
    text = _Text()
    at = 0
    while found := MARKUP.search(body, at, markup_ends):
        text.data(body[at : found.start()])
        at = found.end()
        if name := found["end"]:
            text.end(name.lower())
        elif name := found["start"]:
            text.start(name.lower(), found["attrs"])
            at = text.beyond(body, name.lower(), at)
    text.data(body[at:])
    return "".join(text.parts)


class _Text:
    """The text so far, and the link that is open."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.gone: set[str] = set()  # elements that no later end tag closes
        self.href = ""
        self.linked = 0

    def data(self, data: str) -> None:
        if data:
            self.parts.append(_plain(data.replace("\n", " ")))

    def start(self, tag: str, attrs: str) -> None:
        if tag == "br" or tag in BLOCKS:
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag == "a":
            found = HREF.search(attrs)
            href = _plain(next(filter(None, found.groups()), "")).strip() if found else ""
            self.href = href if href.lower().startswith(("http://", "https://")) else ""
            self.linked = len(self.parts)

    def end(self, tag: str) -> None:
        if tag in BLOCKS:
            self.parts.append("\n")
        elif tag == "a" and self.href:
            if self.href != "".join(self.parts[self.linked :]).strip():
                self.parts.append(f" ({self.href[:LONGEST_LINK]})")
            self.href = ""

    def beyond(self, body: str, tag: str, at: int) -> int:
        """Return where reading goes on after the start of `tag`: behind it, if it is dropped."""
        if tag not in DROPPED or tag in self.gone:
            return at
        end = re.compile(f"</{tag}(?=[\\s/>])[^>]*+(?:>|\\Z)", re.IGNORECASE).search(body, at)
        if end:
            return end.end()
        self.gone.add(tag)
        return len(body) if tag in TO_THE_END else at
