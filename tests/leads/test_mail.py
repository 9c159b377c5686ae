"""Mails are hostile: whatever comes, text is all that is left of it, and it is quickly there."""

from __future__ import annotations

import re
import time

import pytest
from django.template import engines
from hypothesis import given
from hypothesis import strategies as st

from leads.mail import CUT, LONGEST, SHOWN, text_of

PIECES = ["<", ">", "<!", "<![", "<!--", "-->", "]]>", "<?", "</", "&", "&#", "&#x110000;", "&lt;",
          "<script>", "</script>", "<style>", "<svg>", "<p>", "a", " ", "\n", "\x00", "=", '"', "'",
          "<![foo[", "<!doctype [", "<a href='javascript:x'>", "</a>", "<a href=https://x.example>",
          "&lt;script&gt;", "<scr<script>ipt>", "</svg", "&#60;img onerror=x&#62;"]  # fmt: skip
HTML = st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=80)
ENTRY = engines["django"].from_string("{{ text|linebreaks }}")  # as templates/leads/detail.html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("plain text", "plain text"),
        ("two\nlines", "two\nlines"),
        ("Fish &amp; chips", "Fish & chips"),
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<div>Hi,<br>there</div>", "Hi,\nthere"),
        ("<ul><li>One<li>Two</ul>", "- One\n- Two"),
        ("<table><tr><td>A<td>B</table>", "AB"),
        ("<p>a&nbsp;&nbsp; b\n c</p>", "a b c"),
        ("x < y > z", "x < y > z"),
        ("1 <y and nothing closes it", "1 <y and nothing closes it"),
        ("<p don't>it's</p>", "it's"),
        ('<img alt=">" src=x>seen', "seen"),
    ],
)
def test_words_stay(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<script>alert(1)</script>Hi", "Hi"),
        ("<SCRIPT >'</scriptx>'</SCRIPT >Hi", "Hi"),
        ("Hi<script>alert(1)", "Hi"),
        ("Hi<style>p{}", "Hi"),
        ("<head><title>x</title><body>Hi", "Hi"),
        ("<head><meta charset=x><p>Hi", "Hi"),
        ("<style>*{}</style><b onclick=x>bold</b>", "bold"),
        ("<svg><text>drawn</text></svg>Hi", "Hi"),
        ("<svg onload=x>Hi", "Hi"),
        ("<template><b>x</b></template>Hi", "Hi"),
        ("<!-- a > b -->Hi", "Hi"),
        ("Hi<!-- never closed >", "Hi"),
        ("<![CDATA[x]]>Hi", "Hi"),
        ("before<![foo[ x>", "before"),
        ("<img src='data:image/png;base64,AAAA' onerror=\"x\">Hi", "Hi"),
        ("<p>&lt;script&gt;</p>", "<script>"),
        ("<scr<script>x</script>ipt>y", "xipt>y"),
        (f"<p>&#{'9' * 5000};</p>", "\ufffd"),
        (f"&#x{'f' * 5000};", "\ufffd"),
    ],
)
def test_what_is_not_words_goes(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<a href='https://x.example/'>here</a>", "here (https://x.example/)"),
        ("<a href=HTTPS://x.example/?a=1&amp;b=2>here</a>", "here (HTTPS://x.example/?a=1&b=2)"),
        ("<a href='https://x.example/'>https://x.example/</a>", "https://x.example/"),
        ("<a href='javascript:alert(1)'>click</a>", "click"),
        ("<a href=' java&#x0a;script:alert(1)'>click</a>", "click"),
        ("<a href='data:text/html,<b>x</b>'>click</a>", "click"),
        ("<a data-href='https://x.example/'>click</a>", "click"),
        ("<a>click</a></a>", "click"),
    ],
)
def test_a_link_says_where_it_leads_if_that_is_a_page(html: str, text: str) -> None:
    assert text_of(html) == text


def test_a_huge_mail_is_cut_and_says_so() -> None:
    text = text_of("<p>" + "word " * 100_000)
    assert text.endswith(CUT)
    assert len(text) <= SHOWN + len(CUT)
    assert text_of("word " * 100_000).endswith(CUT)
    assert not text_of("<p>" + "x" * (SHOWN - 1)).endswith(CUT)


def test_a_cut_does_not_show_half_a_tag() -> None:
    text = text_of(
        "Hi" + "<!-- -->" * (LONGEST // 8 - 1) + "<a href='https://x.example/'>there</a>"
    )
    assert text == "Hi" + CUT


@pytest.mark.parametrize("end", ["", ">", "'>", '">', "-->"])
@pytest.mark.parametrize(
    "piece",
    ["<", "<!--", "<![", "<a ", "</", "<a href='", '<a b="\'', "<script", "<style><", "<svg>", "a<",
     "&", "&#9", "<a =", "<a href=  ", "<a href=http://x>a", "<!doctype [", "</title"],
)  # fmt: skip
def test_no_mail_takes_long(piece: str, end: str) -> None:
    html = (piece * LONGEST)[: LONGEST - len(end)] + end
    began = time.thread_time()
    text_of(html)
    assert time.thread_time() - began < 2  # html.parser: a minute and more


@given(HTML)
def test_no_mail_ever_puts_markup_into_a_page(html: str) -> None:
    shown = ENTRY.render({"text": text_of(html)})
    assert "<" not in re.sub(r"</?p>|<br>", "", shown)
