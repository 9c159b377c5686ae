"""Stripe's test cards: what each number does when it is charged or saved.

https://docs.stripe.com/testing names them. A number that is not here behaves like a good Visa when
it passes the Luhn check, and is refused as `incorrect_number` otherwise.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sandbox.stripe.errors import CardError


@dataclass(frozen=True)
class Decline:
    """Why a card is refused: the error's code, the issuer's reason, and words for the payer."""

    code: str
    reason: str | None
    message: str


@dataclass(frozen=True)
class Card:
    """How one number behaves. `authentication`: "setup" asks once and not again off session after
    it was saved; "always" asks each time. `saves`: attaching works although charging fails."""

    number: str
    label: str
    token: str
    brand: str = "visa"
    decline: Decline | None = None
    authentication: Literal["setup", "always"] | None = None
    saves: bool = False
    funding: str = "credit"


def _declined(reason: str, message: str = "Your card was declined.") -> Decline:
    return Decline("card_declined", reason, message)


AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
AUTHENTICATION_FAILED = Decline(
    "payment_intent_authentication_failure",
    None,
    "We are unable to authenticate your payment method. "
    "Please choose a different payment method and try again.",
)
SETUP_AUTHENTICATION_FAILED = Decline(
    "setup_intent_authentication_failure", None, AUTHENTICATION_FAILED.message
)
CARDS = (
    Card("4242424242424242", "Succeeds", "visa"),
    Card("5555555555554444", "Succeeds (Mastercard)", "mastercard", brand="mastercard"),
    Card("378282246310005", "Succeeds (Amex)", "amex", brand="amex"),
    Card("4000056655665556", "Succeeds (Visa debit)", "visa_debit", funding="debit"),
    Card("4000000000000002", "Declined", "chargeDeclined", decline=_declined("generic_decline")),
    Card(
        "4000000000009995",
        "Insufficient funds",
        "chargeDeclinedInsufficientFunds",
        decline=_declined("insufficient_funds", "Your card has insufficient funds."),
    ),
    Card("4000000000009987", "Lost card", "chargeDeclinedLostCard", decline=_declined("lost_card")),
    Card(
        "4000000000009979",
        "Stolen card",
        "chargeDeclinedStolenCard",
        decline=_declined("stolen_card"),
    ),
    Card(
        "4000000000000069",
        "Expired card",
        "chargeDeclinedExpiredCard",
        decline=Decline("expired_card", None, "Your card has expired."),
    ),
    Card(
        "4000000000000127",
        "Wrong security code",
        "chargeDeclinedIncorrectCvc",
        decline=Decline("incorrect_cvc", None, "Your card's security code is incorrect."),
    ),
    Card(
        "4000000000000119",
        "Processing error",
        "chargeDeclinedProcessingError",
        decline=Decline(
            "processing_error",
            None,
            "An error occurred while processing your card. Try again in a little bit.",
        ),
    ),
    Card(
        "4000000000000341",
        "Saves, then fails when charged",
        "chargeCustomerFail",
        decline=_declined("generic_decline"),
        saves=True,
    ),
    Card("4000002500003155", "Asks to confirm (3D Secure)", "authenticationRequiredOnSetup",
         authentication="setup"),
    Card("4000002760003184", "Asks to confirm every time", "authenticationRequired",
         authentication="always"),
    Card(
        "4000008260003178",
        "Asks to confirm, then insufficient funds",
        "authenticationRequiredChargeDeclinedInsufficientFunds",
        authentication="always",
        decline=_declined("insufficient_funds", "Your card has insufficient funds."),
        saves=True,
    ),
)  # fmt: skip
_BY_NUMBER = {card.number: card for card in CARDS}
_BY_TOKEN = {card.token: card for card in CARDS}


def by_number(number: str) -> Card:
    """The behaviour of a number; `CardError` when it can't be a card number at all."""
    digits = number.replace(" ", "").replace("-", "")
    known = _BY_NUMBER.get(digits)
    if known is not None:
        return known
    if not _luhn(digits):
        raise CardError("Your card number is incorrect.", code="incorrect_number", param="number")
    return Card(digits, "Succeeds", "visa", brand="mastercard" if digits[0] == "5" else "visa")


def by_token(token: str) -> Card | None:
    """The card behind `pm_card_visa` or `tok_visa`; None for any other id."""
    for prefix in ("pm_card_", "tok_"):
        if token.startswith(prefix):
            return _BY_TOKEN.get(token.removeprefix(prefix))
    return None


def fingerprint(number: str) -> str:
    """The same number always gives the same fingerprint, whoever's card it is."""
    return hashlib.sha256(number.encode()).hexdigest()[:16]


def check_expiry(month: int, year: int, now: int) -> None:
    """Refuses a card that is past its month, as Stripe does before asking the issuer."""
    today = datetime.fromtimestamp(now, UTC)
    if not 1 <= month <= 12:
        raise CardError(
            "Your card's expiration month is invalid.",
            code="invalid_expiry_month",
            param="exp_month",
        )
    if (year, month) < (today.year, today.month) or year > today.year + 50:
        raise CardError(
            "Your card's expiration year is invalid.", code="invalid_expiry_year", param="exp_year"
        )


def _luhn(digits: str) -> bool:
    if not digits.isdigit() or not 12 <= len(digits) <= 19:
        return False
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
