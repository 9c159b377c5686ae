"""Staff's view on the VPN: servers can be added and turned off, devices revoked; the rest is read.

A server's agent token is shown once, on the page that answers its issue.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts.models import User
from saas.admin_site import AuditedAdmin, ReadOnlyAdmin
from vpn import devices, servers
from vpn.models import AddressLease, Counter, Device, DeviceUsage, Peer, Server, UsageSample


def _staff(request: HttpRequest) -> User:
    return cast("User", request.user)  # the admin site admits nobody else


@admin.register(Server)
class ServerAdmin(AuditedAdmin[Server]):
    list_display = ("name", "region", "enabled", "online", "peers", "key_is_ours", "last_seen_at")
    list_filter = ("enabled",)
    search_fields = ("name", "region", "endpoint_host")
    actions = ("issue_token",)

    def get_readonly_fields(
        self,
        request: HttpRequest,  # noqa: ARG002
        obj: Server | None = None,
    ) -> tuple[str, ...]:
        return ("last_seen_at", "reported", "created_at") if obj else ()

    @admin.display(boolean=True)
    def online(self, server: Server) -> bool:
        return server.is_online(timezone.now())

    @admin.display(description="Peers on the node")
    def peers(self, server: Server) -> int:
        return int(server.reported.get("peers", 0))

    @admin.display(boolean=True, description="Key as known")
    def key_is_ours(self, server: Server) -> bool:
        told: str = server.reported.get("key", server.public_key)
        return told == server.public_key

    @admin.action(
        description="Issue a new agent token (the old one stops working)", permissions=["change"]
    )
    def issue_token(self, request: HttpRequest, chosen: QuerySet[Server]) -> HttpResponse:
        return self._issue(request, list(chosen))

    def response_add(
        self,
        request: HttpRequest,
        obj: Server,
        post_url_continue: str | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        return self._issue(request, [obj])

    def has_delete_permission(self, request: HttpRequest, obj: Server | None = None) -> bool:  # noqa: ARG002
        return False  # its devices and their usage hang on it: turn it off instead

    def _issue(self, request: HttpRequest, chosen: list[Server]) -> HttpResponse:
        """Answer with new tokens on the page itself: a message would lie in a cookie meanwhile."""
        issued = [(s, servers.rotate_token(s, actor=_staff(request))) for s in chosen]
        context = {**self.admin_site.each_context(request), "issued": issued}
        response = TemplateResponse(request, "vpn/server_token.html", context)
        response["Cache-Control"] = "no-store, private"
        return response


@admin.register(Device)
class DeviceAdmin(ReadOnlyAdmin[Any]):
    list_display = ("name", "brand", "owner", "server", "created_at", "suspended_at", "revoked_at")
    list_filter = ("server", "protocol")
    list_select_related = ("brand", "owner", "server")
    search_fields = ("name", "brand__name", "owner__email")
    readonly_fields = ("created_at", "suspended_at", "revoked_at")
    actions = ("revoke",)

    @admin.action(description="Revoke: cut off for good", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[Device]) -> None:
        revoked = 0
        for device in chosen.filter(revoked_at=None):
            devices.revoke(
                device_id=device.pk,
                brand_id=device.brand_id,
                actor=_staff(request),
                reason="revoked by staff",
            )
            revoked += 1
        self.message_user(request, f"Revoked: {revoked}.")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("vpn.change_device")


@admin.register(AddressLease)
class AddressLeaseAdmin(ReadOnlyAdmin[Any]):
    list_display = ("address", "server", "device", "brand", "created_at", "released_at")
    list_filter = ("server",)
    list_select_related = ("server", "device", "brand")
    search_fields = ("address",)


@admin.register(Peer)
class PeerAdmin(ReadOnlyAdmin[Any]):
    list_display = ("public_key", "device", "server", "last_handshake_at", "retired_at")
    list_select_related = ("device", "server")
    search_fields = ("public_key",)
    readonly_fields = ("created_at", "retired_at", "last_handshake_at")
    exclude = ("preshared_key",)


@admin.register(DeviceUsage)
class DeviceUsageAdmin(ReadOnlyAdmin[Any]):
    list_display = ("day", "device", "server", "brand", "received", "sent")
    list_filter = ("server",)
    list_select_related = ("device", "server", "brand")
    date_hierarchy = "day"


@admin.register(UsageSample)
class UsageSampleAdmin(ReadOnlyAdmin[Any]):
    list_display = ("counted_at", "device", "server", "epoch", "sample", "received", "sent")
    list_select_related = ("device", "server")
    show_full_result_count = False


@admin.register(Counter)
class CounterAdmin(ReadOnlyAdmin[Any]):
    list_display = ("peer", "epoch", "received", "sent")
    list_select_related = ("peer",)
    show_full_result_count = False
