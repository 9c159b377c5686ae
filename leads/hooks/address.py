"""Where SmartLead sends events to: `/webhooks/smartlead/<token>/`, one address a connection.

Whoever knows the token may write into the brand's inbox, so it is unguessable, looked up by its
hash, sealed at rest, and replaced by `rotate`; the old address is nobody's from that commit on.
"""

from __future__ import annotations

import hashlib
import secrets

from django.conf import settings
from django.utils import timezone

from accounts.models import User
from leads.models import Campaign, Connection, Hook
from saas import audit
from saas.celery import wake
from saas.errors import Refused
from saas.tenancy import everyone, scope

LONGEST_SECRET = 200
SETUP = "leads.hooks.setup"


def find(token: str) -> Hook | None:
    """Return the hook of a token, if its brand and connection still take events."""
    with everyone("SmartLead webhook"):
        found: Hook | None = (
            Hook.objects.filter(token_hash=hash_of(token), brand__erase_requested_at=None)
            .exclude(connection__state=Connection.State.DISCONNECTED)
            .first()
        )
        return found


def url_of(hook: Hook) -> str:
    """Return the whole address. A secret: for those who manage the connection."""
    return f"{settings.PUBLIC_URL}/webhooks/smartlead/{hook.token.reveal()}/"


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def turn_on(*, brand_id: int, actor: User | None) -> Hook:
    """Give the brand's connection an address, unless it has one. Audits. Safe to repeat."""
    with scope(brand_id):
        connection = _connection()
        found: Hook | None = Hook.objects.filter(connection=connection).first()
        if found is None:
            token = secrets.token_urlsafe(32)
            found = Hook.objects.create(
                connection=connection, token=token, token_hash=hash_of(token)
            )
            audit.record("webhook.created", found, actor=actor)
        return found


def rotate(*, brand_id: int, actor: User | None) -> Hook:
    """Replace the token. Webhooks that we set up are told the new address; others are the
    customer's to change. Audits."""
    with scope(brand_id):
        hook = _locked()
        token = secrets.token_urlsafe(32)
        hook.token, hook.token_hash = token, hash_of(token)
        hook.rotated_at = timezone.now()
        hook.save(update_fields=["token", "token_hash", "rotated_at"])
        audit.record("webhook.rotated", hook, actor=actor)
        if hook.managed:
            _set_up_again(hook)
        return hook


def set_secret(*, brand_id: int, secret: str, actor: User | None) -> Hook:
    """Demand this `secret_key` of every event from now on; "" demands none. Audits.

    Raises Refused while we set the webhooks up: SmartLead gives each of those a key of its own.
    """
    with scope(brand_id):
        hook = _locked()
        if secret and hook.managed:
            raise Refused("managed", "Webhooks that Harbor sets up don't carry a secret key.")
        if len(secret) > LONGEST_SECRET or not secret.isprintable():
            raise Refused("bad_secret", "That is not a secret key. Copy it again from SmartLead.")
        hook.secret = secret.strip()
        hook.save(update_fields=["secret"])
        audit.record(
            "webhook.secret_set" if secret else "webhook.secret_removed", hook, actor=actor
        )
        return hook


def manage(*, brand_id: int, actor: User | None) -> Hook:
    """Have the webhooks of all campaigns set up at SmartLead by us, also those to come. Audits.

    Raises Refused while a secret key is demanded. Pressing it again tries what failed again.
    """
    with scope(brand_id):
        hook = _locked()
        if hook.secret:
            raise Refused(
                "secret",
                "Remove the secret key first: webhooks that Harbor sets up don't carry it.",
            )
        hook.managed = True
        hook.save(update_fields=["managed"])
        audit.record("webhook.managed", hook, actor=actor)
        _set_up_again(hook)
        return hook


def _set_up_again(hook: Hook) -> None:
    Campaign.objects.filter(connection_id=hook.connection_id).update(hook_failures=0)
    Hook.objects.filter(pk=hook.pk).update(due_at=timezone.now(), attempts=0, last_error="")
    wake(SETUP, hook.brand_id)


def _connection() -> Connection:
    connection: Connection | None = Connection.objects.select_for_update(no_key=True).first()
    if connection is None or connection.state == Connection.State.DISCONNECTED:
        raise Refused("not_connected", "Connect SmartLead first.")
    return connection


def _locked() -> Hook:
    hook: Hook | None = (
        Hook.objects.filter(connection=_connection())
        .select_for_update(no_key=True, of=("self",))
        .first()
    )
    if hook is None:
        raise Refused("no_hook", "Turn on live updates first.")
    return hook
