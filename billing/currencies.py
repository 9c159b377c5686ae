"""Which currency a reader most likely pays in, by the country that the browser names."""

from __future__ import annotations

from babel.numbers import get_territory_currencies

from billing import catalog


def guess(accept_language: str) -> str:
    """Return the currency of the first country in an Accept-Language header that we sell in.

    A language without a country ("de") says nothing of a currency.
    """
    for entry in accept_language[:200].split(","):
        _, _, country = entry.partition(";")[0].strip().partition("-")
        if len(country) != 2 or not country.isascii() or not country.isalpha():
            continue
        for currency in get_territory_currencies(country.upper()):
            if currency.lower() in catalog.CURRENCIES:
                return str(currency).lower()
    return catalog.DEFAULT_CURRENCY
