"""From sign-up to a place: what a person wanted is kept until their first login settles it.

The first login needs a confirmed e-mail address, so neither brands nor trials are made for
addresses that nobody owns. If we die in between, `home` settles again.
"""

from __future__ import annotations

from django.db import transaction
from django.http import Http404, HttpRequest

from accounts import brands, invitations
from accounts.models import PendingSignup, User
from saas.crypto import Unopenable
from saas.errors import Refused

SESSION_KEY = "invitation"


def invitation_of(request: HttpRequest) -> str:
    """Return the token of the invitation that brought this visitor, or ""."""
    return str(request.session.get(SESSION_KEY, ""))


def invited_address(request: HttpRequest) -> str:
    """Return the address that the visitor's invitation was sent to; "" without one that stands."""
    token = invitation_of(request)
    if not token:
        return ""
    try:
        offer = invitations.look_up(token)
    except Http404:
        return ""
    return offer.email.lower() if offer.state == "open" else ""


def remember(*, user: User, brand_name: str, invitation: str) -> None:
    """Keep what `user` wanted."""
    PendingSignup.objects.create(user=user, brand_name=brand_name, invitation=invitation)


def settle(user: User) -> str | None:
    """Give `user` the place they signed up for; return its slug, or None if nothing is pending.

    Locks the pending row, so two logins at once make one brand. An invitation that can't be taken
    is dropped, with Refused and the words to show: the person may make a brand of their own, and
    their link works again once what hinders it is gone.
    """
    with transaction.atomic():
        pending = (
            PendingSignup.objects.select_for_update(of=("self",)).filter(user_id=user.pk).first()
        )
        if pending is None:
            return None
        pending.delete()
        if not pending.invitation:
            return str(brands.create(name=pending.brand_name, owner=user).slug)
        try:
            with transaction.atomic():
                return invitations.accept(_token(pending), user=user)
        except Http404:
            return None
        except Refused as e:
            refusal = e
    raise refusal


def _token(pending: PendingSignup) -> str:
    """The invitation's token; one that was kept in clear, before it was sealed, proves itself by
    its signature."""
    try:
        return str(pending.invitation.reveal())
    except Unopenable:
        return str(pending.invitation.token)
