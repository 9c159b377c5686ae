"""Django's entry to leads."""

from __future__ import annotations

from django.apps import AppConfig


class LeadsConfig(AppConfig):
    name = "leads"
    verbose_name = "Leads"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from billing import entitlements
        from leads import cards, holdings  # noqa: F401 - they register themselves
        from leads.backfill import gauges, listeners
        from leads.hooks import gauges as hook_gauges
        from saas.observability import metrics

        metrics.gauges(gauges.gauges)
        metrics.gauges(hook_gauges.gauges)
        entitlements.on_change(listeners.rights_changed)
