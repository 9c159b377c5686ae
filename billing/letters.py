"""The mails that billing sends: each is written in the transaction of its cause, so once."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import reverse

from accounts import mail
from accounts.models import Brand, Membership
from accounts.roles import Permission, Role, allows
from billing import catalog
from billing.models import BillingAccount, Invoice, Subscription
from saas.money import Money

MAY_PAY = [role for role in Role if allows(role, Permission.MANAGE_BILLING)]


def payment_failed(account: BillingAccount) -> None:
    """Tell everyone who can pay for the brand that a payment failed, and what it means."""
    _tell(account, "mail/payment_failed", "billing:overview", grace_until=account.grace_until)


def trial_ends(account: BillingAccount) -> None:
    """Remind everyone who can pay for the brand of the trial's end."""
    _tell(account, "mail/trial_ends", "billing:subscribe", ends_at=account.trial_ends_at)


def trial_over(account: BillingAccount) -> None:
    """Tell everyone who can pay for the brand that the trial is over, and what stays."""
    _tell(account, "mail/trial_over", "billing:subscribe", used=account.leads_used)


def trial_charges(account: BillingAccount, row: Subscription, charge: Money) -> None:
    """Remind everyone who can pay of a trial's end, and what is charged then, and to which card."""
    _tell(
        account,
        "mail/trial_charges",
        "billing:overview",
        plan=catalog.plan(row.plan).name,
        ends_at=row.trial_ends_at,
        charge=charge,
        card=row.card,
    )


def trial_paid(account: BillingAccount, row: Subscription, invoice: Invoice) -> None:
    """Tell everyone who can pay that the trial is over and the plan was paid for the first time."""
    _tell(
        account,
        "mail/trial_paid",
        "billing:overview",
        plan=catalog.plan(row.plan).name,
        charge=Money(invoice.amount_paid, invoice.currency),
        card=row.card,
        until=row.current_period_end,
    )


def change_stopped(account: BillingAccount, plan: str, problem: str) -> None:
    """Tell everyone who can pay that a change of plan, kept through an outage, needs them."""
    known = catalog.PLANS.get(plan)
    name = known.name if known else "another plan"
    _tell(account, "mail/change_stopped", "billing:overview", plan=name, problem=problem)


def _tell(account: BillingAccount, template: str, page: str, **context: Any) -> None:
    brand = Brand.objects.get(pk=account.brand_id)
    url = settings.PUBLIC_URL + reverse(page, kwargs={"slug": brand.slug})
    people = Membership.objects.filter(role__in=MAY_PAY, user__is_active=True)
    for email in people.values_list("user__email", flat=True):
        mail.send(to=email, template=template, context={"brand": brand.name, "url": url, **context})
