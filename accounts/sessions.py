"""Sessions: their two time-outs, and new keys when what a person may do changes.

A session ends after SESSION_IDLE_SECONDS without a request, and SESSION_COOKIE_AGE after the login
whatever happens. Its key changes at login, at a change of password or second factor (which ends
the person's other sessions too), and at a change of role.
"""

from __future__ import annotations

import time

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from accounts.models import User

BORN = "_born"  # epoch seconds of the login
SEEN = "_seen"  # of the last request, at most SEEN_STEP old
KEYED = "_keyed"  # of the last new key
SEEN_STEP = 60


def begin(session: SessionBase) -> None:
    """Start both clocks, at a login."""
    now = time.time()
    session[BORN] = session[SEEN] = session[KEYED] = now


def expired(session: SessionBase) -> str:
    """Return "idle" or "absolute" for a session that must end, else ""."""
    now = time.time()
    if now - float(session.get(BORN, now)) >= settings.SESSION_COOKIE_AGE:
        return "absolute"
    if now - float(session.get(SEEN, now)) >= settings.SESSION_IDLE_SECONDS:
        return "idle"
    return ""


def touch(session: SessionBase) -> None:
    """Note that the person is here, with at most one write a minute."""
    if BORN not in session:
        begin(session)
    elif time.time() - float(session.get(SEEN, 0)) >= SEEN_STEP:
        session[SEEN] = time.time()


def end(request: HttpRequest) -> None:
    """End the request's session, here and in the person's list of sessions."""
    key = request.session.session_key
    logout(request)
    UserSession.objects.filter(session_key=key).delete()


def renew_key(request: HttpRequest) -> None:
    """Give the session a new key and keep what is in it."""
    old = request.session.session_key
    request.session.cycle_key()
    request.session[KEYED] = time.time()
    UserSession.objects.filter(session_key=old).update(session_key=request.session.session_key)


def key_is_stale(session: SessionBase, user: User) -> bool:
    """Tell whether the person's rights changed since the session got its key."""
    changed = user.privileges_changed_at
    return changed is not None and float(session.get(KEYED, 0)) < changed.timestamp()


def secure(request: HttpRequest, user: User) -> None:
    """After a change of password or second factor: a new key here, the end of all the others."""
    renew_key(request)
    end_all(user, keep=request.session.session_key)


def end_all(user: User, *, keep: str | None = None) -> int:
    """End every session of `user` but `keep`; return how many ended."""
    others = list(UserSession.objects.filter(user_id=user.pk).exclude(session_key=keep or ""))
    for session in others:
        session.end()
    return len(others)
