"""Which currency a reader sees first: what they chose, else their country's, else dollars."""

from __future__ import annotations

import pytest
from django.test import Client

from billing import currencies


@pytest.mark.parametrize(
    ("header", "currency"),
    [
        ("en-GB,en;q=0.9", "gbp"),
        ("de-DE,de;q=0.9,en-US;q=0.8", "eur"),
        ("de;q=0.9, fr-FR;q=0.8", "eur"),  # a language alone names no country
        ("ja-JP", "jpy"),
        ("de-CH,de-DE;q=0.5", "eur"),  # we sell in no francs, so the next country counts
        ("en-US", "usd"),
        ("zh-Hans-CN", "usd"),
        ("", "usd"),
        ("*", "usd"),
        ("xx-!!,\x00-\x00", "usd"),
        ("a" * 10_000, "usd"),
    ],
)
def test_a_header_names_a_country(header: str, currency: str) -> None:
    assert currencies.guess(header) == currency


def test_the_price_list_follows_the_reader_and_then_their_choice(client: Client) -> None:
    british = {"accept-language": "en-GB"}
    assert "£39" in client.get("/pricing/", headers=british).content.decode()
    assert "£390" in client.get("/pricing/?interval=year", headers=british).content.decode()
    assert "¥7,200" in client.get("/pricing/?currency=jpy", headers=british).content.decode()
    assert "$49" in client.get("/pricing/?currency=chf&interval=week").content.decode()
