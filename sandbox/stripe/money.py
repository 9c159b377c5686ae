"""Amounts in minor units, and one rounding: half up, on the line's total."""

from decimal import ROUND_HALF_UP, Decimal

ZERO_DECIMAL = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split()  # noqa: SIM905
)
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
TIMES = "\N{MULTIPLICATION SIGN}"
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def exponent(currency: str) -> int:
    """How many decimals the currency's major unit has at Stripe."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def whole(amount: Decimal) -> int:
    """Minor units, half up away from zero, as Stripe rounds a line."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def share(amount: int, part: int, total: int) -> int:
    """`amount` times part/total: the proration of an amount by seconds."""
    return whole(Decimal(amount) * part / total) if total else 0


def display(amount: int | Decimal, currency: str) -> str:
    """For the sandbox's pages: $1,234.50, ¥1,235, CHF 10.00, and $0.005 for half a cent."""
    major = abs(Decimal(amount)).normalize().scaleb(-exponent(currency))
    digits = max(exponent(currency), -int(major.as_tuple().exponent))
    number = f"{major:,.{digits}f}"
    sign = "-" if amount < 0 else ""
    symbol = SYMBOLS.get(currency, currency.upper() + "\N{NO-BREAK SPACE}")
    return f"{sign}{symbol}{number}"
