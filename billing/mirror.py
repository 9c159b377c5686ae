"""dj-stripe as a mirror: it copies Stripe's objects into its tables, and does nothing else.

Left alone it writes our secret key into its table with the first event, and answers the event
customer.deleted by deleting the customer at Stripe. Here it can do neither: `tame` is called once
at start-up and takes the key's table and every write away from it. The code reads our own
projection; the mirror is for staff to look at.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NoReturn

import stripe
from django.conf import settings
from django.db.models.signals import pre_save
from django.utils import timezone

from billing import gateway
from saas.errors import Bug
from saas.tenancy import everyone


def process(event: dict[str, Any]) -> None:
    """Let dj-stripe copy the objects of an event; it refetches them. Safe to repeat.

    dj-stripe does its network calls inside its own transaction; only mirror rows are locked by it.
    Raises Retryable and Misconfigured, and whatever dj-stripe can't digest.
    """
    from djstripe.models import Event

    with gateway.translated(), everyone("mirror of Stripe"):
        Event.process(event)


def tame() -> None:
    """Take the secret key and all writes at Stripe away from dj-stripe (module docstring)."""
    from djstripe.models import Account, APIKey, Customer, Session
    from djstripe.models.base import StripeModel

    stripe.max_network_retries = 0
    stripe.enable_telemetry = False
    stripe.default_http_client = stripe.RequestsClient(
        timeout=(gateway.CONNECT_SECONDS, gateway.READ_SECONDS)
    )
    Account.get_or_retrieve_for_api_key = classmethod(_own_account)
    StripeModel._api_create = classmethod(_no_write)
    StripeModel._api_update = StripeModel._api_delete = _no_write
    Customer.purge = _purge_here
    Session.expand_fields = []  # it asks for a breakdown of taxes that nobody reads
    pre_save.connect(_no_key, sender=APIKey, dispatch_uid="no Stripe key in the database")


def _own_account(model: Any, api_key: str) -> Any:  # noqa: ARG001 - the key stays in settings
    account, _ = model.objects.get_or_create(
        id=account_id(), defaults={"livemode": settings.STRIPE_LIVE_MODE}
    )
    return account


@lru_cache(maxsize=1)
def account_id() -> str:
    """Return our account at Stripe: from the settings, else asked once per process."""
    if settings.STRIPE_ACCOUNT_ID:
        return str(settings.STRIPE_ACCOUNT_ID)
    return str(
        stripe.Account.retrieve(
            api_key=settings.STRIPE_SECRET_KEY, stripe_version=settings.STRIPE_API_VERSION
        ).id
    )


def _purge_here(customer: Any) -> None:
    """What dj-stripe does for a deleted customer, without deleting at Stripe."""
    customer.subscriber = None
    customer.date_purged = timezone.now()
    customer.save()


def _no_write(*_: Any, **__: Any) -> NoReturn:
    raise Bug("the mirror never writes at Stripe")


def _no_key(**_: Any) -> NoReturn:
    raise Bug("the Stripe key stays in the settings, never in the database")
