"""The mails that billing sends: each is written in the transaction of its cause, so once."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse

from accounts import mail
from accounts.models import Brand, Membership
from accounts.roles import Permission, Role, allows
from billing.models import BillingAccount

MAY_PAY = [role for role in Role if allows(role, Permission.MANAGE_BILLING)]


def payment_failed(account: BillingAccount) -> None:
    """Tell everyone who can pay for the brand that a payment failed, and what it means."""
    brand = Brand.objects.get(pk=account.brand_id)
    url = settings.PUBLIC_URL + reverse("billing:overview", kwargs={"slug": brand.slug})
    people = Membership.objects.filter(role__in=MAY_PAY, user__is_active=True)
    for email in people.values_list("user__email", flat=True):
        context = {"brand": brand.name, "grace_until": account.grace_until, "url": url}
        mail.send(to=email, template="mail/payment_failed", context=context)
