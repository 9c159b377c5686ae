"""What the tests of trials with a card do: begin one, and look at what came of it."""

from __future__ import annotations

from typing import Any

from accounts.models import Mail
from billing import checkout, inbox, operations
from billing.models import BillingAccount, CardTrial, Subscription
from saas.tenancy import scope
from tests.billing.conftest import GOOD, Stripe


def open_trial(brand: Any, person: Any, plan: str = "leads_growth", **more: Any) -> str:
    """Open the payment page of a trial; return its address."""
    asked = {"currency": "usd", "trial": True} | more
    return checkout.start(brand=brand, plan=plan, actor=person, **asked)


def begin_trial(
    brand: Any, person: Any, stripe: Stripe, card: str = GOOD, plan: str = "leads_growth"
) -> str:
    """Go through the payment page with a card; return where it leads back to."""
    answer = stripe.pay(open_trial(brand, person, plan), card=card)
    assert answer.status_code == 303
    settle(stripe)
    return str(answer.headers["Location"])


def settle(stripe: Stripe) -> None:
    """Let every event and operation come to its end."""
    running = True
    while running:
        stripe.pending()  # its signatures may be of another day
        running = inbox.catch_up() > 0
        inbox.drain()
        due = operations.due()
        for operation in due:
            operations.execute(operation)
        running |= bool(due)


def account(brand: Any) -> tuple[str, str]:
    with scope(brand):
        found = BillingAccount.objects.get()
        return found.plan, found.standing


def row(brand: Any) -> Subscription:
    with scope(brand):
        return Subscription.objects.get()


def refusals(*brands: Any) -> list[str]:
    """For whose trial each brand's subscriptions were refused; "" for one that was granted."""
    found: list[str] = []
    for brand in brands:
        with scope(brand):
            found += Subscription.objects.values_list("trial_refused", flat=True)
    return sorted(found)


def statuses(stripe: Stripe) -> list[str]:
    return sorted(one["status"] for one in stripe.objects("subscriptions", status="all"))


def charged(stripe: Stripe) -> list[int]:
    return [one["amount"] for one in stripe.objects("charges") if one["paid"]]


def granted() -> int:
    return int(CardTrial.objects.count())


def subjects() -> list[str]:
    return list(Mail.objects.order_by("pk").values_list("subject", flat=True))
