"""Promotion codes: staff write them here, Stripe applies and counts them.

Two writes make one: the coupon, and in the transaction of its success the intent of the promotion
code, so that dying anywhere leaves either nothing or the whole. Discounts are a subscription's,
never a customer's (dj-stripe's mirror can't hold those).
"""

from __future__ import annotations

from typing import Any

from accounts.models import User
from billing import gateway, operations, projection
from billing.models import PromotionCode, StripeOperation
from saas import audit
from saas.errors import Refused
from saas.tenancy import everyone


def create(code: PromotionCode, *, actor: User) -> StripeOperation:
    """Save a code with the intent to bring it to Stripe, which a worker carries out; audited.

    In the caller's transaction: the console saves in one.
    """
    with everyone("a promotion code"):
        code.save(force_insert=True)
        audit.record(
            "promotion_code.created", code, actor=actor, changes={"code": [None, code.code]}
        )
        operation = operations.begin(COUPON, subject=code.code, params=_coupon(code))
        operations.soon(operation)
        return operation


def switch_off(code: PromotionCode, *, actor: User) -> StripeOperation | None:
    """Let nobody redeem a code any more; who has it keeps it. A worker tells Stripe; audited.

    Safe to repeat. None for a code that is not at Stripe.
    """
    if not code.stripe_id:
        return None
    with everyone("a promotion code"):
        audit.record("promotion_code.switched_off", code, actor=actor)
        params = {"_code": code.stripe_id, "active": False}
        operation = operations.begin(SWITCH_OFF, subject=code.code, params=params)
        operations.soon(operation)
        return operation


def find(code: str) -> PromotionCode:
    """Return the active code that a person typed, in any case. Raises Refused("unknown_code").

    Whether it fits their first purchase, currency and number of uses, Stripe decides.
    """
    with everyone("a promotion code"):
        wanted = PromotionCode.objects.filter(code=code.strip().upper()[:40], active=True)
        found: PromotionCode | None = wanted.exclude(stripe_id=None).first()
    if found is None:
        raise Refused("unknown_code", "We don't know this code, or it is over.")
    return found


def refresh(stripe_id: str) -> bool:
    """Fetch a promotion code and project its uses; False when it isn't ours."""
    number = projection.ticket()
    found = gateway.find(f"/v1/promotion_codes/{stripe_id}")
    if found is None:
        return False
    with everyone("a promotion code"):
        rows = PromotionCode.objects.filter(stripe_id=stripe_id)
        rows.filter(version__lt=number).update(
            active=found["active"], times_redeemed=found["times_redeemed"], version=number
        )
        return bool(rows.exists())


def _coupon(code: PromotionCode) -> dict[str, Any]:
    params: dict[str, Any] = {
        "name": code.name,
        "duration": code.duration,
        "metadata": {"code": code.code},
    }
    if code.months:
        params["duration_in_months"] = code.months
    if code.percent_off:
        return {**params, "percent_off": code.percent_off}
    base, *others = code.amounts_off
    options = {currency: {"amount_off": code.amounts_off[currency]} for currency in others}
    params |= {"amount_off": code.amounts_off[base], "currency": base}
    return {**params, "currency_options": options} if options else params


def _coupon_made(operation: StripeOperation, coupon: gateway.Object) -> None:
    code = PromotionCode.objects.get(code=operation.subject)
    code.stripe_coupon = coupon["id"]
    code.save(update_fields=["stripe_coupon"])
    params: dict[str, Any] = {
        "code": code.code,
        "promotion": {"type": "coupon", "coupon": coupon["id"]},
        "restrictions": {"first_time_transaction": code.first_time_only},
    }
    if code.max_redemptions:
        params["max_redemptions"] = code.max_redemptions
    if code.expires_at:
        params["expires_at"] = int(code.expires_at.timestamp())
    operations.soon(operations.begin(CODE, subject=code.code, params=params))


def _refused(operation: StripeOperation) -> None:
    PromotionCode.objects.filter(code=operation.subject).update(active=False)


def _code_made(operation: StripeOperation, made: gateway.Object) -> None:
    PromotionCode.objects.filter(code=operation.subject).update(stripe_id=made["id"])


def _switched(operation: StripeOperation, made: gateway.Object) -> None:
    PromotionCode.objects.filter(code=operation.subject).update(active=made["active"])


def _look_for_coupon(operation: StripeOperation) -> gateway.Object | None:
    for coupon in gateway.each("/v1/coupons"):
        if (coupon.get("metadata") or {}).get("operation") == str(operation.pk):
            return coupon
    return None


def _look_for_code(operation: StripeOperation) -> gateway.Object | None:
    """A code that was switched off may have a namesake, so ours is known by its tag."""
    for made in gateway.each("/v1/promotion_codes", {"code": operation.params["code"]}):
        if (made.get("metadata") or {}).get("operation") == str(operation.pk):
            return made
    return None


def _look_switched(operation: StripeOperation) -> gateway.Object | None:
    found = gateway.get(f"/v1/promotion_codes/{operation.params['_code']}")
    return None if found["active"] else found


COUPON = operations.register(
    operations.Kind(
        "coupon.create",
        "/v1/coupons",
        _look_for_coupon,
        effect=_coupon_made,
        refusal=_refused,
        tagged=True,
    )
)
CODE = operations.register(
    operations.Kind(
        "promotion_code.create",
        "/v1/promotion_codes",
        _look_for_code,
        effect=_code_made,
        refusal=_refused,
        tagged=True,
    )
)
SWITCH_OFF = operations.register(
    operations.Kind(
        "promotion_code.update",
        "/v1/promotion_codes/{_code}",
        _look_switched,
        effect=_switched,
    )
)
