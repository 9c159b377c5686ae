"""Mails are hostile: whatever comes, text is all that is left of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.mail import text_of

PIECES = ["<", ">", "<!", "<![", "<!--", "-->", "]]>", "<?", "</", "&", "&#", "&#x110000;", "&lt;",
          "<script>", "</script>", "<style>", "<svg>", "<p>", "a", " ", "\n", "\x00", "=", '"',
          "<![foo[", "<!doctype [", "<a href='javascript:x'>"]  # fmt: skip


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain text", "plain text"),
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<div>Hi,<br>there</div>", "Hi,\nthere"),
        ("<script>alert(1)</script>Hi", "Hi"),
        ("<head><title>x</title><body>Hi", "Hi"),
        ("<style>*{}</style><b onclick=x>bold</b>", "bold"),
        ("<a href='javascript:alert(1)'>click</a>", "click"),
        ("<a href='https://x.example/'>here</a>", "here (https://x.example/)"),
        ("<p>&lt;script&gt;</p>", "<script>"),
        ("<p>before<![foo[ x", "before"),
    ],
)
def test_text_of_a_mail(html: str, text: str) -> None:
    assert text_of(html).startswith(text)


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_no_markup_raises(html: str) -> None:
    assert isinstance(text_of(html), str)
