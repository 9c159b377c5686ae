"""How a subscription that could not be paid for is refused."""

from sandbox.stripe.errors import CardError, StripeError


def no_payment_method() -> StripeError:
    return StripeError(
        "This customer has no attached payment source or default payment method. Please consider "
        "adding a default payment method.",
        code="resource_missing",
    )


def undone(error: CardError | None) -> StripeError:
    """402, and nothing stays: the caller asked for all or nothing."""
    if error is None or error.error["code"] == "missing":
        return (
            no_payment_method()
            if error
            else StripeError(
                "Payment for this subscription requires additional user action before it can be "
                "completed successfully.",
                status=402,
                kind="card_error",
                code="subscription_payment_intent_requires_action",
            )
        )
    refusal = StripeError(str(error), status=402, kind="card_error")
    refusal.error = error.error
    return refusal
