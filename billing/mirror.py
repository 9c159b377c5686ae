"""dj-stripe as a mirror: it copies Stripe's objects into its tables, and does nothing else.

Left alone it writes our secret key into its table with the first event, and answers the event
customer.deleted by deleting the customer at Stripe. Here it can do neither: `tame` is called once
at start-up and takes the key's table and every write away from it. The code reads our own
projection; the mirror is for staff to look at.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn

import stripe
import structlog
from django.conf import settings
from django.db.models.signals import pre_save
from django.utils import timezone

from billing import gateway
from saas.errors import Bug
from saas.tenancy import everyone

log = structlog.get_logger(__name__)


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
    # A customer's discount has no coupon of its own any more, which dj-stripe takes for its bug.
    Customer._attach_objects_post_save_hook = StripeModel._attach_objects_post_save_hook
    for name in ("default_tax_rates", "tax_rates"):
        listed = getattr(StripeModel, f"_stripe_object_to_{name}")
        setattr(StripeModel, f"_stripe_object_to_{name}", _unless_null(name, listed))
    Session.expand_fields = []  # it asks for a breakdown of taxes that nobody reads
    pre_save.connect(_no_key, sender=APIKey, dispatch_uid="no Stripe key in the database")


def _own_account(model: Any, api_key: str) -> Any:  # noqa: ARG001 - the key stays in settings
    known = account_id()
    if not known:
        return None
    account, _ = model.objects.get_or_create(
        id=known, defaults={"livemode": settings.STRIPE_LIVE_MODE}
    )
    return account


@lru_cache(maxsize=1)
def account_id() -> str:
    """Return our account at Stripe: from the settings, else asked once per process; "" when our key
    may not read it (a restricted key needn't) or what stands in for Stripe has none."""
    if settings.STRIPE_ACCOUNT_ID:
        return str(settings.STRIPE_ACCOUNT_ID)
    try:
        found = stripe.Account.retrieve(
            api_key=settings.STRIPE_SECRET_KEY, stripe_version=settings.STRIPE_API_VERSION
        )
    except stripe.StripeError as e:
        if e.http_status not in (403, 404):
            raise
        log.warning("stripe.account_unknown", status=e.http_status)
        return ""
    return str(found.id)


def _unless_null(name: str, listed: Callable[..., Any]) -> Any:
    """Stripe answers null for an empty list, which dj-stripe doesn't expect."""

    def found(_: Any, /, target_cls: Any, data: Any, **options: Any) -> Any:
        return listed(target_cls, data, **options) if data.get(name) else []

    return classmethod(found)


def _purge_here(customer: Any) -> None:
    """What dj-stripe does for a deleted customer, without deleting at Stripe."""
    customer.subscriber = None
    customer.date_purged = timezone.now()
    customer.save()


def _no_write(*_: Any, **__: Any) -> NoReturn:
    raise Bug("the mirror never writes at Stripe")


def _no_key(**_: Any) -> NoReturn:
    raise Bug("the Stripe key stays in the settings, never in the database")
