"""Money: integer minor units with their currency. No floats, and one place that rounds.

Exponents follow Stripe's list of zero- and three-decimal currencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from babel.numbers import format_currency

from saas.errors import Bug

ZERO_DECIMALS = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905
)
THREE_DECIMALS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


def exponent(currency: str) -> int:
    """Return how many decimals the minor unit of `currency` stands for."""
    code = currency.upper()
    return 0 if code in ZERO_DECIMALS else 3 if code in THREE_DECIMALS else 2


def rounded(amount: Decimal) -> int:
    """Round minor units half up, away from zero: the one rounding of money in Harbor."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


@dataclass(frozen=True)
class Money:
    """`minor` units (cents, yen) of `currency` (ISO 4217, upper case)."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "currency", self.currency.upper())

    @property
    def major(self) -> Decimal:
        return Decimal(self.minor).scaleb(-exponent(self.currency))

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise Bug(f"{self.currency} and {other.currency} don't mix")
        return other.minor

    def format(self, locale: str = "en") -> str:
        """Return the amount as a person of `locale` writes it: $49.00, 49,00 €, ¥4,900."""
        return str(format_currency(self.major, self.currency, locale=locale.replace("-", "_")))

    def __str__(self) -> str:
        return self.format()
