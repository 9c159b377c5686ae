"""Servers, devices, their keys and addresses, and what they used.

A Server is infrastructure and belongs to no brand; everything else is a brand's. The private half
of a device's key exists nowhere here: it is in the response that shows it, once.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pghistory
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from saas.crypto import SealedField
from saas.tenancy import TenantModel
from vpn import validators

# An agent reports at least twice a minute; WireGuard shakes hands every two minutes in use.
NODE_SILENT_AFTER = timedelta(minutes=2)
CONNECTED_FOR = timedelta(minutes=3)


class Server(models.Model):
    """A VPN node. Its agent holds the token of which we keep the hash, and its own private key."""

    name = models.SlugField(max_length=40, unique=True)
    region = models.CharField(max_length=60, help_text="What customers read, like Frankfurt.")
    endpoint_host = models.CharField(max_length=253, validators=[validators.host])
    endpoint_port = models.PositiveIntegerField(default=51820)
    network = models.CharField(
        "IPv4 network", max_length=18, unique=True, validators=[validators.ipv4_network]
    )
    network6 = models.CharField(
        "IPv6 network", max_length=43, blank=True, default="", validators=[validators.ipv6_network]
    )
    dns = models.CharField(
        "DNS servers",
        max_length=120,
        blank=True,
        default="",
        validators=[validators.addresses],
        help_text="Addresses for the customers' devices, parted by commas.",
    )
    public_key = models.CharField(
        max_length=44,
        blank=True,
        default="",
        validators=[validators.wireguard_key],
        help_text="Told by the node on its first report. Empty it to accept a new one; every "
        "device of the server then needs a new configuration.",
    )
    token_hash = models.CharField(max_length=64, editable=False)
    enabled = models.BooleanField(
        default=True, help_text="Off: the node is told to drop every device, and none is added."
    )
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    reported = models.JSONField(default=dict, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(endpoint_port__range=(1, 65535)), name="vpn_server_port"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def is_online(self, now: datetime) -> bool:
        """Tell whether the node was heard of lately."""
        return self.last_seen_at is not None and now - self.last_seen_at < NODE_SILENT_AFTER


class Protocol(models.TextChoices):
    WIREGUARD = "wireguard", "WireGuard"


# The history outlives an erasure, so it has no words of people in it.
@pghistory.track(append_only=True, exclude=["name", "request_key"])
class Device(TenantModel):
    """A customer's device on one server.

    Live until revoked. Suspended means: kept, but cut off, because the brand's plan does not carry
    it at the moment (vpn.access).
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=validators.NAME_LENGTH)
    protocol = models.CharField(max_length=12, choices=Protocol, default=Protocol.WIREGUARD)
    # The form's own id: sent twice (a double click, a reload) it still makes one device.
    request_key = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    suspended_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["brand", "owner", "name"],
                condition=Q(revoked_at=None),
                name="vpn_one_live_device_per_name",
            ),
            models.UniqueConstraint(
                fields=["brand", "request_key"], name="vpn_one_device_per_form"
            ),
            models.CheckConstraint(
                condition=Q(protocol__in=Protocol.values), name="vpn_device_protocol"
            ),
            models.CheckConstraint(
                condition=~Q(name__regex=r"[[:cntrl:]<>\"`$;|&\\]") & ~Q(name=""),
                name="vpn_device_name",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["brand", "-id"], name="vpn_device_page")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_live(self) -> bool:
        return self.revoked_at is None


class Peer(TenantModel):
    """One WireGuard key of a device on a server. Replaced keys stay, retired: their last counters
    may still be on the way."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="peers")
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="+")
    public_key = models.CharField(max_length=44, unique=True)
    preshared_key = SealedField()  # the node needs it too
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_handshake_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["device"], condition=Q(retired_at=None), name="vpn_one_live_key_per_device"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["server"], condition=Q(retired_at=None), name="vpn_peer_live_by_server"
            )
        ]

    def __str__(self) -> str:
        return f"{self.public_key[:8]}…"


class AddressLease(TenantModel):
    """An address of a server's network, held by a device until it is released."""

    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="+")
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="leases")
    address = models.GenericIPAddressField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    released_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["server", "address"],
                condition=Q(released_at=None),
                name="vpn_one_live_lease_per_address",
            )
        ]

    def __str__(self) -> str:
        return str(self.address)


class Bytes(models.Model):
    """Bytes as the server counts them: `received` from the device (its upload), `sent` to it."""

    received = models.BigIntegerField(default=0)
    sent = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


class Counter(TenantModel, Bytes):
    """The highest counters seen of a key in one epoch (an unbroken life of the node's counters).

    Usage is the sum of these over all epochs, whatever order reports came in (vpn.metering).
    """

    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="+")
    epoch = models.CharField(max_length=36)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["peer", "epoch"], name="vpn_one_counter_per_epoch")
        ]

    def __str__(self) -> str:
        return f"{self.peer_id} {self.epoch}"


class UsageSample(TenantModel, Bytes):
    """The ledger: what one sample of a node added to a device's usage. Rows only ever get added."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="+")
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="+")
    epoch = models.CharField(max_length=36)
    sample = models.BigIntegerField()
    counted_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["device", "server", "epoch", "sample"], name="vpn_one_row_per_sample"
            )
        ]

    def __str__(self) -> str:
        return f"{self.device_id} {self.epoch} {self.sample}"


class DeviceUsage(TenantModel, Bytes):
    """Usage of a device on a server in one UTC day: the ledger, added up as it is written."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="+")
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="+")
    day = models.DateField()

    class Meta:
        verbose_name_plural = "device usage"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["device", "server", "day"], name="vpn_one_usage_row_per_day"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["brand", "day"], name="vpn_usage_by_day")]

    def __str__(self) -> str:
        return f"{self.device_id} {self.day}"


def status_of(device: Any, *, last_handshake: datetime | None, now: datetime) -> str:
    """Name a device's state: revoked, suspended, connected, idle or new."""
    if device.revoked_at:
        return "revoked"
    if device.suspended_at:
        return "suspended"
    if last_handshake is None:
        return "new"
    return "connected" if now - last_handshake < CONNECTED_FOR else "idle"
