"""Invitations: an offer of a role to an e-mail address, carried by a signed link.

The token names brand and row and opens nothing by itself: the row decides whether the offer still
stands, and only the person with the invited address can take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import Http404
from django.urls import reverse
from django.utils import timezone

from accounts import mail, seats
from accounts.models import Brand, Invitation, Membership, User
from accounts.roles import Role
from saas import audit
from saas.errors import Refused
from saas.tenancy import scope

SALT = "accounts.invitation"
VALID_FOR = timedelta(days=7)


@dataclass(frozen=True)
class Offer:
    """What the invitation page shows. `state`: open, accepted, revoked, expired or closed."""

    brand_id: int
    brand: str
    slug: str
    email: str
    role: str
    inviter: str
    state: str


def token(invitation: Invitation) -> str:
    """Return the signed name of the row, for the link in the mail."""
    return str(signing.dumps([invitation.brand_id, invitation.pk], salt=SALT))


def link(invitation: Invitation) -> str:
    return f"{settings.PUBLIC_URL}{reverse('invitation', args=[token(invitation)])}"


def look_up(signed: str) -> Offer:
    """Return the offer behind a token; raise Http404 for a token that we did not sign."""
    brand_id, key = _open(signed)
    with scope(brand_id):
        invitation = Invitation.objects.select_related("invited_by", "brand").filter(pk=key).first()
        if invitation is None:
            raise Http404
        return Offer(
            brand_id=brand_id,
            brand=invitation.brand.name,
            slug=invitation.brand.slug,
            email=invitation.email,
            role=invitation.get_role_display(),
            inviter=invitation.invited_by.get_full_name() if invitation.invited_by else "",
            state=state(invitation),
        )


def state(invitation: Invitation) -> str:
    if invitation.brand.erase_requested_at:
        return "closed"
    if invitation.accepted_at:
        return "accepted"
    if invitation.revoked_at:
        return "revoked"
    return "open" if invitation.expires_at > timezone.now() else "expired"


def accept(signed: str, *, user: User) -> str:
    """Make `user` a member as offered and return the brand's slug; audited.

    Locks the brand, for its places, and the invitation. Safe to repeat: a member stays what they
    are. Raises Refused when the offer is gone, meant for another address, or no place is left;
    Http404 for a token that we did not sign.
    """
    brand_id, key = _open(signed)
    with scope(brand_id):
        brand = Brand.objects.select_for_update(no_key=True).filter(pk=brand_id).first()
        rows = Invitation.objects.select_for_update(of=("self",))
        invitation = rows.filter(pk=key).first() if brand else None
        if brand is None or invitation is None:
            raise Http404
        invitation.brand = brand
        _refuse(invitation, user)
        membership = Membership.objects.filter(user=user).first()
        created = membership is None
        if membership is None:
            seats.need_one_to_join(brand)
            membership = Membership.objects.create(brand=brand, user=user, role=invitation.role)
        if not invitation.accepted_at:
            invitation.accepted_at = timezone.now()
            invitation.save(update_fields=["accepted_at"])
            audit.record("invitation.accepted", invitation, actor=user)
        if created:
            changes = {"role": [None, str(membership.role)]}
            audit.record("membership.created", membership, actor=user, changes=changes)
        return str(brand.slug)


def _refuse(invitation: Invitation, user: User) -> None:
    if user.email != invitation.email.lower():
        raise Refused(
            "wrong_email",
            f"This invitation is for {invitation.email}, and you are logged in as {user.email}."
            " Log out and open the link again.",
        )
    now = state(invitation)
    if now == "accepted" and Membership.objects.filter(user=user).exists():
        return
    words = {
        "accepted": "This invitation was used already.",
        "revoked": "This invitation was withdrawn. Ask for a new one.",
        "expired": "This invitation ran out. Ask for a new one.",
        "closed": "This brand was deleted. There is nothing left to join.",
    }
    if now in words:
        raise Refused(f"invitation_{now}", words[now])


def create(*, email: str, role: str, actor: User) -> Invitation:
    """Invite `email` to the scope's brand, and queue the mail; audited.

    An offer that ran out makes way. Raises Refused for a member, someone invited already, or when
    no place is left. The caller has checked that `actor` may give `role` (accounts.team).
    """
    brand = locked_brand()
    if Membership.objects.filter(user__email=email).exists():
        raise Refused("already_member", f"{email} is in the team already.")
    for earlier in Invitation.objects.select_for_update(of=("self",)).filter(
        email__iexact=email, accepted_at=None, revoked_at=None
    ):
        if state(earlier) == "open":
            raise Refused("already_invited", f"{email} is invited already. You can send it again.")
        earlier.revoked_at = timezone.now()
        earlier.save(update_fields=["revoked_at"])
    seats.need_one_to_offer(brand.pk)
    invitation: Invitation = Invitation.objects.create(
        brand=brand, email=email, role=role, invited_by=actor, expires_at=timezone.now() + VALID_FOR
    )
    changes = {"email": [None, email], "role": [None, str(role)]}
    audit.record("invitation.created", invitation, actor=actor, changes=changes)
    _send(invitation, actor)
    return invitation


def send_again(invitation: Invitation, *, actor: User) -> None:
    """Queue the mail again and let the offer stand for another week; audited.

    Locks the brand. Raises Refused for a closed offer, or one that ran out when no place is left.
    """
    brand = locked_brand()
    invitation.refresh_from_db(from_queryset=Invitation.objects.select_for_update(of=("self",)))
    if state(invitation) == "expired":
        seats.need_one_to_offer(brand.pk)
    elif state(invitation) != "open":
        raise Refused("invitation_closed", "This invitation was used or withdrawn.")
    invitation.expires_at = timezone.now() + VALID_FOR
    invitation.save(update_fields=["expires_at"])
    audit.record("invitation.sent_again", invitation, actor=actor)
    _send(invitation, actor)


def revoke(invitation: Invitation, *, actor: User) -> None:
    """Withdraw the offer; audited. Safe to repeat."""
    if invitation.accepted_at:
        raise Refused("invitation_accepted", "They joined already. Remove them from the team.")
    if not invitation.revoked_at:
        invitation.revoked_at = timezone.now()
        invitation.save(update_fields=["revoked_at"])
        audit.record("invitation.revoked", invitation, actor=actor)


def locked_brand() -> Brand:
    """The scope's brand, locked, so that its invitations and places change one after the other."""
    brand: Brand = Brand.objects.select_for_update(no_key=True).get()
    if brand.erase_requested_at:
        raise Refused("brand_closed", "This brand is being deleted.")
    return brand


def _send(invitation: Invitation, actor: User) -> None:
    mail.send(
        to=invitation.email,
        template="mail/invitation",
        context={
            "brand": Brand.objects.get(pk=invitation.brand_id).name,
            "inviter": actor.get_full_name(),
            "role": Role(invitation.role).label.lower(),
            "url": link(invitation),
            "expires_at": invitation.expires_at,
        },
    )


def _open(signed: str) -> tuple[int, int]:
    try:
        brand_id, key = signing.loads(signed, salt=SALT)
        return int(brand_id), int(key)
    except (signing.BadSignature, TypeError, ValueError) as e:
        raise Http404 from e
