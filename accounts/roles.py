"""Roles and what they allow. A view declares one Permission; nothing else decides who may."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from django.db import models

View = TypeVar("View", bound=Callable[..., Any])


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    MEMBER = "member", "Member"
    VIEWER = "viewer", "Viewer"


class Permission(StrEnum):
    VIEW = "view"  # overview, leads, backfills, own devices
    WORK_LEADS = "work_leads"  # change leads
    RUN_BACKFILLS = "run_backfills"
    USE_VPN = "use_vpn"  # create and revoke own devices
    MANAGE_CONNECTIONS = "manage_connections"  # SmartLead keys
    MANAGE_VPN = "manage_vpn"  # everyone's devices
    MANAGE_TEAM = "manage_team"
    MANAGE_BRAND = "manage_brand"  # name, limits, data export
    VIEW_BILLING = "view_billing"
    MANAGE_BILLING = "manage_billing"
    DELETE_BRAND = "delete_brand"


_VIEWER = frozenset({Permission.VIEW})
_MEMBER = _VIEWER | {Permission.WORK_LEADS, Permission.RUN_BACKFILLS, Permission.USE_VPN}
_ADMIN = _MEMBER | {
    Permission.MANAGE_CONNECTIONS,
    Permission.MANAGE_VPN,
    Permission.MANAGE_TEAM,
    Permission.MANAGE_BRAND,
    Permission.VIEW_BILLING,
}
PERMISSIONS: dict[str, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.MEMBER: _MEMBER,
    Role.ADMIN: _ADMIN,
    Role.OWNER: frozenset(Permission),
}


def allows(role: str, permission: Permission) -> bool:
    """Tell whether `role` has `permission`; an unknown role has none."""
    return permission in PERMISSIONS.get(role, frozenset())


def requires(permission: Permission, *, scoped: bool = True) -> Callable[[View], View]:
    """Declare what a brand view needs. `scoped=False`: the view opens its own scopes, because it
    talks to the network and no transaction may be open meanwhile."""

    def mark(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        view.scoped = scoped  # type: ignore[attr-defined]
        return view

    return mark
