"""Sessions: their two time-outs, and new keys when what a person may do changes.

A session ends after SESSION_IDLE_SECONDS without a request, and SESSION_COOKIE_AGE after the login
whatever happens. Its key changes at login, at a change of password or second factor (which ends
the person's other sessions too), and at a change of role.
"""

from __future__ import annotations

import time
from functools import partial
from typing import cast

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import get_user, logout
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User
from accounts.session_store import MOVED, SessionStore

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
    """After a change of rights, give the session a new key and keep what is in it.

    Of several requests at once, the locks let one renew; the others go on in its session, with the
    new key in their answers too, and so does a request that arrives with the old key during the
    next GRACE_SECONDS. A session that ended meanwhile stays ended: the request is nobody's.

    The old key is worth no more than before: until the renewal whoever held it had the session
    anyway, afterwards it opens nothing by itself and is dead within seconds, or with the new key,
    at once, when that ends or is replaced (`secure`, logout, `end_all`).
    """
    session = cast("SessionStore", request.session)
    old = session.session_key
    with transaction.atomic():
        # In the order of end_all: the entry in the person's list, then the session.
        listed = UserSession.objects.filter(session_key=old)
        list(listed.select_for_update().values_list("pk"))
        row = Session.objects.select_for_update().filter(pk=old).first()
        held = row.get_decoded() if row and row.expire_date > timezone.now() else {}
        if held and MOVED not in held:
            session[KEYED] = time.time()
            session.move()
            listed.update(session_key=session.session_key)
            return
    request.session = SessionStore(held[MOVED][0] if held else None)
    request.session.modified = bool(held)
    request.user = get_user(request)


def key_is_stale(session: SessionBase, user: User) -> bool:
    """Tell whether the person's rights changed since the session got its key."""
    changed = user.privileges_changed_at
    return changed is not None and float(session.get(KEYED, 0)) < changed.timestamp()


def secure(request: HttpRequest, user: User) -> None:
    """After a change of password or second factor: a new key here, the end of all the others,
    the old key here included, at once."""
    old = request.session.session_key
    request.session.cycle_key()
    request.session[KEYED] = time.time()
    UserSession.objects.filter(session_key=old).update(session_key=request.session.session_key)
    end_all(user, keep=request.session.session_key)


def end_all(user: User, *, keep: str | None = None) -> int:
    """End every session of `user` but `keep`; return how many ended.

    Locks their entries, so that a key which is being renewed ends under its new name.
    """
    rows = UserSession.objects.filter(user_id=user.pk).exclude(session_key=keep or "")
    with transaction.atomic():
        others = list(rows.select_for_update().order_by("pk"))
        for session in others:
            session.end()
            # A request that missed in Valkey may have put the row back before our commit.
            transaction.on_commit(partial(_forget, session.session_key))
    return len(others)


def sweep() -> None:
    """Delete sessions that expired. Safe to repeat."""
    SessionStore.clear_expired()
    UserSession.objects.exclude(session_key__in=Session.objects.values("pk")).delete()


def _forget(key: str) -> None:
    cache.delete(SessionStore.cache_key_prefix + key)
