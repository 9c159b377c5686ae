"""A brand's customer at Stripe, made once."""

from __future__ import annotations

from accounts.models import Brand
from billing import gateway, operations, standing
from billing.models import BillingAccount, StripeOperation
from saas.tenancy import scope


def ensure(brand_id: int) -> str:
    """Return the id of the brand's Stripe customer, creating it the first time.

    Safe to repeat and to race: the operation is begun under the account's lock, and a second caller
    joins it. Raises Retryable when Stripe doesn't answer. Call outside of any scope.
    """
    with scope(brand_id):
        account = standing.locked(brand_id)
        if account.stripe_customer:
            return account.stripe_customer
        brand = Brand.objects.get(pk=brand_id)
        operation = operations.begin(
            CREATE,
            subject=f"brand {brand_id}",
            params={
                "name": brand.name,
                "email": brand.email,
                "metadata": {"brand": str(brand_id)},
            },
        )
    return str(operations.run(operation)["id"])


def _look(operation: StripeOperation) -> gateway.Object | None:
    same_email = gateway.each("/v1/customers", {"email": operation.params["email"]})
    for found in same_email:
        if (found.get("metadata") or {}).get("operation") == str(operation.pk):
            return found
    return None


def _remember(operation: StripeOperation, customer: gateway.Object) -> None:
    BillingAccount.objects.filter(brand_id=operation.brand_id).update(
        stripe_customer=customer["id"]
    )


CREATE = operations.register(
    operations.Kind("customer.create", "/v1/customers", _look, effect=_remember, tagged=True)
)
