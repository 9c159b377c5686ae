"""Services about a person themselves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db import transaction

from accounts import brands
from accounts.models import User
from saas import audit


def update_profile(user: User, *, name: str, time_zone: str) -> None:
    """Change the person's name and time zone; audited."""
    wanted = {"name": name, "time_zone": time_zone}
    with transaction.atomic():
        row = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        changes = {k: [getattr(row, k), v] for k, v in wanted.items() if getattr(row, k) != v}
        if not changes:
            return
        for field, (_, new) in changes.items():
            setattr(row, field, new)
        row.save(update_fields=list(changes))
        audit.record("person.profile_changed", row, actor=row, changes=changes)


def held_about(user: User) -> dict[str, Any]:
    """Return what is held about the person outside of brands; no secret is in it."""
    addresses = EmailAddress.objects.filter(user_id=user.pk)
    factors = Authenticator.objects.filter(user_id=user.pk)
    sessions = UserSession.objects.filter(user_id=user.pk)
    return {
        "email": user.email,
        "name": user.name,
        "time_zone": user.time_zone,
        "joined": user.date_joined,
        "email_addresses": list(addresses.values("email", "verified", "primary")),
        "second_factors": list(factors.values("type", "created_at", "last_used_at")),
        "sessions": list(sessions.values("ip", "user_agent", "created_at", "last_seen_at")),
        "brands": [asdict(place) for place in brands.places(user)],
    }
