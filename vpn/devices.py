"""Devices: create, give new keys, revoke. Each audits in its own transaction.

A creation locks the brand's row, so that two of them never pass the plan's limit together, then
the server's, so that they never choose the same address. A double submit makes one device, and
replaces a key once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import brands
from accounts.models import User
from billing import entitlements
from saas import audit
from saas.errors import Refused
from saas.tenancy import scope
from vpn import addresses, keys, validators
from vpn.models import Device, Peer, Server


class AlreadyMade(Refused):
    """The same form was sent before; `device` is what it made then."""

    def __init__(self, device: Device) -> None:
        super().__init__("already_made", "This device was made already.")
        self.device = device


class AlreadyReplaced(Refused):
    """The key that was to be replaced is not the device's any more."""

    def __init__(self) -> None:
        super().__init__("already_replaced", "The keys of this device were replaced already.")


@dataclass(frozen=True)
class Fresh:
    """A device with the secrets of its key: all that its configuration needs. Never stored."""

    device: Device
    server: Server
    addresses: tuple[str, ...]
    pair: keys.KeyPair = field(repr=False)
    preshared: str = field(repr=False)


def create(
    *,
    brand_id: int,
    owner: User,
    server_id: int,
    name: str,
    actor: User | None,
    request_key: UUID,
    reason: str = "",
) -> Fresh:
    """Create a device with a key, addresses and its configuration's secrets.

    Raises Refused: bad_name, name_taken, device_limit, not_entitled, server_*; AlreadyMade for a
    `request_key` that was used. Locks the brand's row, then the server's.
    """
    with scope(brand_id):
        clean = _clean(name)
        brands.lock(brand_id)
        _refuse_repeat(request_key)
        _refuse_over_limit(brand_id)
        _refuse_taken_name(owner, clean)
        server = addresses.lock(server_id)
        device = Device.objects.create(
            owner=owner, server=server, name=clean, request_key=request_key
        )
        leases = addresses.lease(device, server)
        fresh = _with_new_key(device, server, tuple(lease.address for lease in leases))
        audit.record("device.created", device, actor=actor, reason=reason)
    return fresh


def replace_keys(
    *, device_id: int, brand_id: int, replaces: int, actor: User | None, reason: str = ""
) -> Fresh:
    """Give a live device a new key in place of the Peer `replaces`; that one stops working within
    seconds. Audited.

    A key is replaced once, whoever asks again: a double click, a reload or a colleague must not
    kill the configuration that somebody was just shown. Raises AlreadyReplaced for them, and
    Refused when the device is revoked.
    """
    with scope(brand_id):
        device = _locked(device_id)
        if not device.is_live:
            raise Refused("device_revoked", "This device is revoked. Create a new one.")
        server = addresses.lock(device.server_id)
        replaced = Peer.objects.filter(pk=replaces, device=device, retired_at=None)
        if not replaced.update(retired_at=timezone.now()):
            raise AlreadyReplaced
        held = device.leases.filter(released_at=None).order_by("id")
        fresh = _with_new_key(device, server, tuple(lease.address for lease in held))
        audit.record("device.keys_replaced", device, actor=actor, reason=reason)
    return fresh


def revoke(*, device_id: int, brand_id: int, actor: User | None, reason: str = "") -> Device:
    """Cut the device off for good and give back its addresses. Audited; safe to repeat."""
    with scope(brand_id):
        device = _locked(device_id)
        if device.is_live:
            _end(device, timezone.now())
            audit.record("device.revoked", device, actor=actor, reason=reason)
    return device


def _end(device: Device, now: datetime) -> None:
    device.revoked_at = now
    device.save(update_fields=["revoked_at"])
    Peer.objects.filter(device=device, retired_at=None).update(retired_at=now)
    addresses.release(device, now)


def _locked(device_id: int) -> Device:
    device: Device = Device.objects.select_for_update(no_key=True).get(pk=device_id)
    return device


def _with_new_key(device: Device, server: Server, held: tuple[str, ...]) -> Fresh:
    pair, preshared = keys.new_pair(), keys.new_preshared()
    Peer.objects.create(
        device=device, server=server, public_key=pair.public, preshared_key=preshared
    )
    return Fresh(device=device, server=server, addresses=held, pair=pair, preshared=preshared)


def _clean(name: str) -> str:
    try:
        return validators.device_name(name)
    except ValidationError as e:
        raise Refused("bad_name", str(e.messages[0])) from e


def _refuse_repeat(request_key: UUID) -> None:
    made = Device.objects.filter(request_key=request_key).first()
    if made:
        raise AlreadyMade(made)


def _refuse_over_limit(brand_id: int) -> None:
    rights = entitlements.of(brand_id)
    if not rights.live:
        raise Refused(
            "not_entitled",
            "Your plan does not include the VPN at the moment. Open Billing to change that.",
        )
    if Device.objects.filter(revoked_at=None).count() >= rights.devices:
        raise Refused(
            "device_limit",
            f"Your plan has room for {rights.devices} devices, and all are in use. "
            "Revoke one, or choose a larger plan.",
        )


def _refuse_taken_name(owner: User, name: str) -> None:
    if Device.objects.filter(owner=owner, name=name, revoked_at=None).exists():
        raise Refused("name_taken", f"There is already a device named {name}. Choose another name.")
