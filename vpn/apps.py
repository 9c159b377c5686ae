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
        from saas.observability import metrics
        from vpn import cards, measures  # noqa: F401

        metrics.gauges(measures.gauges)
        entitlements.on_change(lambda brand_id: wake("vpn.converge", brand_id))
