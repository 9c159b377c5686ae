"""Django's entry to vpn."""

from __future__ import annotations

from django.apps import AppConfig


class VpnConfig(AppConfig):
    name = "vpn"
    verbose_name = "VPN"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from billing import entitlements
        from saas.celery import wake
        from vpn import cards  # noqa: F401

        entitlements.on_change(lambda brand_id: wake("vpn.converge", brand_id))
