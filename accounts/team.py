"""The team: who is in a brand, in which role.

Only owners make, change and remove owners, and a brand never loses its last one: the services
explain, a deferred constraint trigger holds it (migration 0002). A decision locks the brand first,
then the memberships it is about, and judges what they are now: the page that asked for it may be
older than somebody else's decision. All of it runs in the brand's scope and is audited.
"""

from __future__ import annotations

from django.utils import timezone

from accounts import invitations
from accounts.models import Invitation, Membership, User
from accounts.roles import Permission, Role, allows
from saas import audit
from saas.errors import Refused


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
    _need_manager(_locked(actor), owners=role == Role.OWNER)
    return invitations.create(email=email, role=role, actor=actor)


def invite_again(invitation: Invitation, *, actor: User) -> None:
    """Send the offer again and let it stand for another week. Only owners offer ownership."""
    _need_manager(_locked(actor), owners=invitation.role == Role.OWNER)
    invitations.send_again(invitation, actor=actor)


def change_role(membership: Membership, *, role: str, actor: User) -> None:
    """Change a member's role; their sessions get new keys. Raise Refused for the last owner.

    Locks the brand and refreshes `membership`, so that `actor`'s right and the journal are those of
    this moment.
    """
    actors = _locked(actor, membership)
    _need_manager(actors, owners=Role.OWNER in (role, membership.role))
    if role == membership.role:
        return
    if membership.role == Role.OWNER:
        _need_another_owner(membership)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    changes = {"role": [str(before), str(role)]}
    audit.record("membership.role_changed", membership, actor=actor, changes=changes)
    _privileges_changed(membership.user_id)


def remove(membership: Membership, *, actor: User) -> None:
    """End a membership, one's own included. Raise Refused for the last owner.

    Locks and refreshes as `change_role` does.
    """
    actors = _locked(actor, membership)
    if membership.user_id != actor.pk:
        _need_manager(actors, owners=membership.role == Role.OWNER)
    if membership.role == Role.OWNER:
        _need_another_owner(membership)
    changes = {"role": [str(membership.role), None]}
    audit.record("membership.ended", membership, actor=actor, changes=changes)
    membership.delete()
    _privileges_changed(membership.user_id)


def _locked(actor: User, membership: Membership | None = None) -> Membership | None:
    """Lock the brand and the memberships of the decision; return the actor's, if they have one.

    Refreshes `membership`. Raises Refused when somebody ended it, or closed the brand, meanwhile.
    """
    invitations.locked_brand()
    rows = Membership.objects.select_for_update(of=("self",))
    if membership is not None:
        try:
            membership.refresh_from_db(from_queryset=rows)
        except Membership.DoesNotExist as e:
            raise Refused("left_already", "They are no longer in the team.") from e
    return rows.filter(user=actor).first()


def _need_manager(actor: Membership | None, *, owners: bool) -> None:
    if actor is None or not allows(actor.role, Permission.MANAGE_TEAM):
        raise Refused("not_yours", "Your role changed. You can't manage the team any more.")
    if owners and actor.role != Role.OWNER:
        raise Refused("owners_only", "Only an owner can do this with owners.")


def _need_another_owner(membership: Membership) -> None:
    """Call with the brand locked: nobody else leaves meanwhile."""
    if not Membership.objects.filter(role=Role.OWNER).exclude(pk=membership.pk).exists():
        raise Refused("last_owner", "A brand needs an owner. Make someone else an owner first.")


def _privileges_changed(user_id: int) -> None:
    User.objects.filter(pk=user_id).update(privileges_changed_at=timezone.now())
