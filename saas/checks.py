"""Start-up refusals (Django system checks): what must not run does not start.

`manage.py` runs them by itself. The web server and the Celery processes call `refuse`, which also
asks the database, since nothing else would stop them. Each message is one sentence of what is wrong
and one of what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from saas import crypto
from saas.errors import Misconfigured
from saas.tenancy import OPS_ROLE

TAG = "harbor"
# What people leave in a file that they copied.
DEFAULTS = re.compile(r"(?i)change.?me|insecure|example|secret.?key|default|placeholder|^dev|^test")
SHORTEST_SECRET = 32
FEWEST_SYMBOLS = 8
Apps = Sequence[AppConfig] | None


def _error(number: int, what: str, hint: str) -> Error:
    return Error(what, hint=hint, id=f"harbor.E{number:03}")


@register(TAG)
def secret_key(app_configs: Apps, **_: Any) -> list[Error]:  # noqa: ARG001
    """E001: sessions and links are signed with it."""
    try:
        key = settings.SECRET_KEY
    except ImproperlyConfigured:  # Django's word for an empty one
        key = ""
    weak = len(key) < SHORTEST_SECRET or len(set(key)) < FEWEST_SYMBOLS or DEFAULTS.search(key)
    if not weak or (settings.DEBUG and key):
        return []
    words = "SECRET_KEY is missing, short or a default."
    return [_error(1, words, "Set 50 random characters, the same on every machine.")]


@register(TAG)
def sealing_keys(app_configs: Apps, **_: Any) -> list[Error]:  # noqa: ARG001
    """E002: secrets at rest are sealed with them."""
    hint = "Make one with `manage.py make_sealing_key`; the first key of the list seals."
    try:
        keys = crypto.parse_keys(settings.SEALING_KEYS)
    except Misconfigured as e:
        return [_error(2, str(e), hint)]
    if not settings.DEBUG and any(len(set(key)) < FEWEST_SYMBOLS for key in keys.values()):
        return [_error(2, "SEALING_KEYS holds a default key.", hint)]
    return []


@register(TAG)
def stripe_key(app_configs: Apps, **_: Any) -> list[Error]:  # noqa: ARG001
    """E003: test and live never mix."""
    key = settings.STRIPE_SECRET_KEY
    if settings.DEBUG:
        if settings.STRIPE_LIVE_MODE:
            words = "STRIPE_SECRET_KEY is a live key, and DEBUG is on."
            return [_error(3, words, "Use a test key here, or turn DEBUG off.")]
        return []
    if not key:
        words = "STRIPE_SECRET_KEY is missing."
        return [_error(3, words, "Set the live key of your Stripe account.")]
    if not settings.STRIPE_LIVE_MODE:
        words = "STRIPE_SECRET_KEY is not a live key, and DEBUG is off."
        return [_error(3, words, "Set the live key here, or turn DEBUG on.")]
    return []


@register(TAG)
def stripe_webhook_secret(app_configs: Apps, **_: Any) -> list[Error]:  # noqa: ARG001
    """E004: without it anybody could report a payment."""
    secrets = settings.STRIPE_WEBHOOK_SECRETS
    if settings.DEBUG or (secrets and all(one.startswith("whsec_") for one in secrets)):
        return []
    words = "STRIPE_WEBHOOK_SECRET is missing or malformed."
    return [_error(4, words, "Copy it (whsec_...) from the endpoint in the Stripe dashboard.")]


@register(TAG)
def shared_cache(app_configs: Apps, **_: Any) -> list[Error]:  # noqa: ARG001
    """E005: limits, lock-outs and sessions are shared by all processes through it."""
    backend = settings.CACHES.get("default", {}).get("BACKEND", "")
    location = str(settings.CACHES.get("default", {}).get("LOCATION", ""))
    if "redis" in backend.lower() and urlsplit(location).port != 1:
        return []
    words = "The cache is not shared by all processes."
    return [_error(5, words, "Set REDIS_URL to a Redis or Valkey that every machine reaches.")]


@register(TAG)
def trusted_proxies(app_configs: Apps, **_: Any) -> list[Error]:  # noqa: ARG001
    """E006: else every visitor has the proxy's address, or the one that they claim."""
    hint = 'List the networks of your proxies ("10.0.0.0/8"), or "none" when there is no proxy.'
    declared = settings.TRUSTED_PROXIES
    if not declared:
        return [] if settings.DEBUG else [_error(6, "TRUSTED_PROXIES is not declared.", hint)]
    for item in declared:
        try:
            width = None if item == "none" else ip_network(item).prefixlen
        except ValueError:
            return [_error(6, f"TRUSTED_PROXIES: {item!r} is not a network.", hint)]
        if width == 0:
            return [_error(6, "TRUSTED_PROXIES trusts the whole internet.", hint)]
    return []


@register(TAG)
def public_address(app_configs: Apps, **_: Any) -> list[Error]:  # noqa: ARG001
    """E007, E008: where people come in."""
    if settings.DEBUG:
        return []
    found = []
    if not settings.HTTPS:
        words = "PUBLIC_URL is not an https:// address."
        found.append(_error(7, words, "Set the address that people type, with https."))
    hosts = settings.ALLOWED_HOSTS
    if not hosts or "*" in hosts:
        words = "ALLOWED_HOSTS is empty or allows every host."
        found.append(_error(8, words, "List the names that people reach this server by."))
    return found


@register(Tags.database, TAG)
def database_role(
    app_configs: Apps,  # noqa: ARG001
    databases: Iterable[str] | None = None,
    **_: Any,
) -> list[Error]:
    """E009: row-level security must bind the role that we are."""
    found = []
    for alias in databases or ():
        with connections[alias].cursor() as cursor:
            cursor.execute(ROLES, [OPS_ROLE])
            for role, above in cursor.fetchall():
                if above:
                    words = f"The database role {role} is above row-level security."
                    hint = f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS, or connect as another."
                    found.append(_error(9, words, hint))
            cursor.execute(INHERITED, [OPS_ROLE])
            if cursor.fetchone():
                words = f"The database role inherits {OPS_ROLE}, so it sees every brand."
                hint = f"GRANT {OPS_ROLE} TO <role> WITH INHERIT FALSE, SET TRUE."
                found.append(_error(9, words, hint))
    return found


ROLES = """
SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles
WHERE rolname IN (session_user, current_user, %s)
"""
INHERITED = """
SELECT 1 FROM pg_auth_members
WHERE roleid = to_regrole(%s) AND member = to_regrole(quote_ident(session_user)) AND inherit_option
"""
# Every table that carries a brand, and the brands themselves; partitions too.
UNPROTECTED = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
  AND (c.relname = 'accounts_brand' OR EXISTS (
    SELECT FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attname = 'brand_id' AND NOT a.attisdropped))
  AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
ORDER BY c.relname
"""


def unprotected_tables(alias: str = "default") -> list[str]:
    """Return the tables that carry a brand and are not under forced row-level security."""
    with connections[alias].cursor() as cursor:
        cursor.execute(UNPROTECTED)
        return [name for (name,) in cursor.fetchall()]


def refuse() -> None:
    """Raise Misconfigured when a check of ours fails; the web server and workers call it first.

    Asks the database too, and looks at its tables, which a migration under way may not have
    finished: hence not a check.
    """
    found: list[CheckMessage] = run_checks(tags=[TAG], databases=["default"])
    lines = [f"{message.id}: {message.msg} {message.hint}" for message in found]
    if bare := unprotected_tables():
        lines.append(
            f"harbor.E010: These tables are not under row-level security: {', '.join(bare)}."
            " Run `manage.py migrate`, or add the missing TenantPolicy."
        )
    if lines:
        raise Misconfigured("Harbor does not start.\n" + "\n".join(lines))
