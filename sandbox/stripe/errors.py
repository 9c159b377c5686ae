"""Stripe's error object and the ways a request can end in one.

Every refusal is a `StripeError`; the pipeline turns it into the JSON body, the status and the
headers that Stripe documents. `keeps_effects` says whether what the request did before the error
stays: a declined card leaves its failed charge behind, everything else rolls back.
"""

from typing import Any


class StripeError(Exception):
    """An answer that is not 2xx. `saved` says whether an Idempotency-Key replays it."""

    keeps_effects = False
    saved = True

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        known = {"type": kind, "message": message, "code": code, "param": param, **extra}
        self.error = {name: value for name, value in known.items() if value is not None}
        if code is not None:
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"

    def body(self) -> dict[str, Any]:
        return {"error": self.error}


class InvalidParameters(StripeError):
    """The parameters never reached the endpoint, so no idempotent result is kept."""

    saved = False


class Unsaved(StripeError):
    """401, 409 and 429: refused at the door, never replayed."""

    saved = False


class CardError(StripeError):
    """402. The failed attempt (charge, intent, invoice) stays."""

    keeps_effects = True

    def __init__(self, message: str, *, code: str, **extra: Any) -> None:
        super().__init__(message, status=402, kind="card_error", code=code, **extra)


def key_in_use() -> StripeError:
    """The only 409: two requests with one Idempotency-Key at a time. (A lock is a 429.)"""
    return Unsaved(
        "There is currently another in-progress request using this Idempotent Key (that probably "
        "means you submitted twice, and the other request is still going on).",
        status=409, kind="idempotency_error", code="idempotency_key_in_use",
    )  # fmt: skip


def missing(kind: str, identifier: str, param: str = "id", status: int = 404) -> StripeError:
    """`No such customer: 'cus_x'`: 404 for the object in the path, 400 for one in a parameter."""
    noun = {"payment_method": "PaymentMethod"}.get(kind, kind)
    return StripeError(
        f"No such {noun}: '{identifier}'", status=status, code="resource_missing", param=param
    )
