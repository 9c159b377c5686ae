"""The only caller of Stripe: time-outs, the pinned version, errors in our own terms.

| Stripe answers                                    | the caller gets                          |
|---------------------------------------------------|------------------------------------------|
| nothing, a time-out, 409, 429, 5xx, not JSON       | Retryable                                |
| a 5xx that it replays for the same key            | Replayed: the key is burnt               |
| 400, 402, 404                                     | Refused(Stripe's code, its message)      |
| 401, 403                                          | KeyRefused, which is Misconfigured       |
| the same key with other parameters                | Refused("idempotency_error")             |

No retries here: a write is a row (`billing.operations`) and a read belongs to a row too, and those
know when to try again. Never called inside a transaction (a Bug says so).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal

import stripe
from django.conf import settings

from saas.errors import Bug, Misconfigured, Refused, Retryable
from saas.observability.metrics import OUTBOUND
from saas.tenancy import in_scope

Object = dict[str, Any]
Method = Literal["post", "delete"]
CONNECT_SECONDS, READ_SECONDS = 5.0, 25.0
PAGE = 100


class Replayed(Retryable):
    """Stripe stored a failure under this key and will answer it for a day; look, then re-key."""


class KeyRefused(Misconfigured):
    """Stripe refuses our key, or there is none. The operator mends it, and then all goes on."""


PASSING = (Retryable, KeyRefused)  # what ends by itself, or by no more than a good key


@lru_cache(maxsize=4)
def _client(key: str, base: str, version: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=version,
        base_addresses={"api": base},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS, READ_SECONDS)),
    )


def write(method: Method, path: str, params: Mapping[str, Any], *, key: str) -> Object:
    """Write at Stripe under the idempotency `key` and return the object. Safe to repeat by key.

    Only `billing.operations` calls this.
    """
    return _call(method, path, params, {"idempotency_key": key})


def get(path: str, params: Mapping[str, Any] | None = None) -> Object:
    """Read an object."""
    return _call("get", path, params or {}, {})


def preview(params: Mapping[str, Any]) -> Object:
    """Ask what an invoice would say. A POST that writes nothing, so it needs no key."""
    return _call("post", "/v1/invoices/create_preview", params, {})


def find(path: str, params: Mapping[str, Any] | None = None) -> Object | None:
    """Read an object, or None when Stripe has none of that name."""
    try:
        return get(path, params)
    except Refused as e:
        if e.code == "resource_missing":
            return None
        raise


def each(path: str, params: Mapping[str, Any] | None = None) -> Iterator[Object]:
    """Yield the objects of a list, newest first as Stripe sorts, a page at a time."""
    after: dict[str, Any] = {}
    while True:
        page = get(path, {"limit": PAGE, **(params or {}), **after})
        yield from page["data"]
        if not page.get("has_more") or not page["data"]:
            return
        after = {"starting_after": page["data"][-1]["id"]}


def _call(method: str, path: str, params: Mapping[str, Any], options: Mapping[str, Any]) -> Object:
    if in_scope():
        raise Bug(f"{method} {path} at Stripe inside a transaction")
    if not settings.STRIPE_SECRET_KEY:
        raise KeyRefused("STRIPE_SECRET_KEY is not set")
    client = _client(
        settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, settings.STRIPE_API_VERSION
    )
    began, outcome = time.perf_counter(), "error"
    try:
        with translated():
            answer = client.raw_request(method, path, **params, **options)
        outcome = "ok"
    finally:
        OUTBOUND.labels("stripe", outcome).observe(time.perf_counter() - began)
    return dict(answer.data)


@contextmanager
def translated() -> Iterator[None]:
    """Turn stripe-python's errors into ours; see the table above."""
    try:
        yield
    except stripe.RateLimitError as e:
        raise Retryable("stripe", after=_retry_after(e, 5.0), detail="too many calls") from e
    except stripe.APIConnectionError as e:
        raise Retryable("stripe", after=5.0, detail="no answer") from e
    except (stripe.CardError, stripe.InvalidRequestError) as e:
        if e.http_status == 404 or e.code == "resource_missing":
            raise Refused("resource_missing", _words(e)) from e
        raise Refused(e.code or "invalid_request", _words(e)) from e
    except stripe.IdempotencyError as e:
        raise Refused("idempotency_error", _words(e)) from e
    except (stripe.AuthenticationError, stripe.PermissionError) as e:
        raise KeyRefused("Stripe refuses our key; check STRIPE_SECRET_KEY") from e
    except stripe.StripeError as e:
        headers = {name.lower(): value for name, value in (e.headers or {}).items()}
        replayed = headers.get("idempotent-replayed") == "true" and (e.http_status or 0) >= 500
        kind = Replayed if replayed else Retryable
        detail = f"status {e.http_status}"
        raise kind("stripe", after=_retry_after(e, 5.0), detail=detail) from e


def _retry_after(e: stripe.StripeError, default: float) -> float:
    headers = {name.lower(): value for name, value in (e.headers or {}).items()}
    try:
        return min(max(float(headers["retry-after"]), 0.0), 3600.0)
    except (KeyError, ValueError):
        return default


def _words(e: stripe.StripeError) -> str:
    return e.user_message or "Stripe refused this request."
