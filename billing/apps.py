"""Django's entry to billing."""

from __future__ import annotations

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import banners, brands, overview

        # Importing the first two registers kinds of operations, which any process must know.
        from billing import catalog_sync, checkout, holdings, measures, mirror, notices, trials  # noqa: F401
        from saas.observability import metrics

        mirror.tame()
        holdings.register()
        metrics.gauges(measures.gauges)
        brands.on_created(trials.start)
        banners.source(notices.banner)
        overview.card(60, "billing/card.html", notices.card)
