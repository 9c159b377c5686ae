"""The team: who is in a brand, in which role.

Only owners make, change and remove owners, and a brand never loses its last one: the services lock
the brand's owners and explain, a deferred constraint trigger holds it (migration 0002). All of it
runs in the brand's scope and is audited.
"""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone

from accounts import invitations
from accounts.models import Invitation, Membership, User
from accounts.roles import Role
from saas import audit
from saas.errors import Refused

_on_left: list[Callable[[Membership, User], None]] = []


def on_left(listener: Callable[[Membership, User], None]) -> None:
    """Register `listener(membership, actor)`, run in the transaction that ends a membership."""
    _on_left.append(listener)


def members() -> list[Membership]:
    """Return the scope's members, owners first."""
    order = {role: place for place, role in enumerate(Role.values)}
    rows = Membership.objects.select_related("user").order_by("created_at", "pk")
    return sorted(rows, key=lambda m: order.get(m.role, len(order)))


def open_invitations() -> list[Invitation]:
    """Return the offers that stand or ran out, newest first."""
    rows = Invitation.objects.filter(accepted_at=None, revoked_at=None)
    return list(rows.select_related("invited_by").order_by("-created_at"))


def invite(*, email: str, role: str, actor: User) -> Invitation:
    """Invite someone; raise Refused when they are there already or `actor` may not give `role`."""
    if role == Role.OWNER:
        _need_owner(actor)
    return invitations.create(email=email, role=role, actor=actor)


def invite_again(invitation: Invitation, *, actor: User) -> None:
    """Send the offer again and let it stand for another week. Only owners offer ownership."""
    if invitation.role == Role.OWNER:
        _need_owner(actor)
    invitations.send_again(invitation, actor=actor)


def change_role(membership: Membership, *, role: str, actor: User) -> None:
    """Change a member's role; their sessions get new keys. Raise Refused for the last owner."""
    if role == membership.role:
        return
    if Role.OWNER in (role, membership.role):
        _need_owner(actor)
    if membership.role == Role.OWNER:
        _need_another_owner(membership)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    changes = {"role": [str(before), str(role)]}
    audit.record("membership.role_changed", membership, actor=actor, changes=changes)
    _privileges_changed(membership.user_id)


def remove(membership: Membership, *, actor: User) -> None:
    """End a membership, one's own included. Raise Refused for the last owner."""
    if membership.role == Role.OWNER:
        if membership.user_id != actor.pk:
            _need_owner(actor)
        _need_another_owner(membership)
    changes = {"role": [str(membership.role), None]}
    audit.record("membership.ended", membership, actor=actor, changes=changes)
    for listener in _on_left:
        listener(membership, actor)
    membership.delete()
    _privileges_changed(membership.user_id)


def _need_owner(actor: User) -> None:
    if not Membership.objects.filter(user=actor, role=Role.OWNER).exists():
        raise Refused("owners_only", "Only an owner can do this with owners.")


def _need_another_owner(membership: Membership) -> None:
    owners = Membership.objects.select_for_update(of=("self",)).filter(role=Role.OWNER)
    if not [owner for owner in owners.order_by("pk") if owner.pk != membership.pk]:
        raise Refused("last_owner", "A brand needs an owner. Make someone else an owner first.")


def _privileges_changed(user_id: int) -> None:
    User.objects.filter(pk=user_id).update(privileges_changed_at=timezone.now())
