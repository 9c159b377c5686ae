"""What follows from logins and from changes of credentials: places, new keys, journal entries."""

from __future__ import annotations

from typing import Any

import structlog
from allauth.account import signals as account
from allauth.mfa import signals as mfa
from axes.signals import user_locked_out
from django.contrib import messages
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import sessions, signup
from accounts.models import User
from saas import audit
from saas.errors import Refused

log = structlog.get_logger(__name__)


@receiver(user_logged_in)
def on_login(request: HttpRequest, user: User, **_: Any) -> None:
    sessions.begin(request.session)
    audit.record("person.logged_in", user, actor=user)


@receiver(user_logged_out)
def on_logout(user: User | None, **_: Any) -> None:
    if user is not None:
        audit.record("person.logged_out", user, actor=user)


@receiver(account.user_logged_in)
def on_first_login(user: User, request: HttpRequest, **_: Any) -> None:
    request.session.pop(signup.SESSION_KEY, None)
    try:
        signup.settle(user)
    except Refused as refusal:
        messages.warning(request, refusal.message)


@receiver(account.password_changed)
@receiver(account.password_set)
def on_new_password(user: User, request: HttpRequest, **_: Any) -> None:
    audit.record("person.password_changed", user, actor=user)
    sessions.secure(request, user)


@receiver(account.password_reset)
def on_reset(user: User, **_: Any) -> None:
    """By mail: nobody is logged in here, and whoever was elsewhere no longer is."""
    audit.record("person.password_reset", user, actor=user)
    sessions.end_all(user)


@receiver(account.email_changed)
def on_new_address(user: User, request: HttpRequest, **_: Any) -> None:
    audit.record("person.email_changed", user, actor=user)
    if request.user.is_authenticated:
        sessions.secure(request, user)


@receiver(mfa.authenticator_added)
@receiver(mfa.authenticator_removed)
@receiver(mfa.authenticator_reset)
def on_second_factor(
    signal: Any, request: HttpRequest, user: User, authenticator: Any, **_: Any
) -> None:
    what = {mfa.authenticator_added: "added", mfa.authenticator_removed: "removed"}
    action = f"person.second_factor_{what.get(signal, 'renewed')}"
    audit.record(action, user, actor=user, reason=str(authenticator.type))
    if request.user.is_authenticated:
        sessions.secure(request, user)


@receiver(user_locked_out)
def on_lock_out(username: str | None, ip_address: str | None, **_: Any) -> None:
    log.warning("login.locked_out", username=username, address=ip_address)
