"""Django's entry to billing."""

from __future__ import annotations

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import banners, brands, overview, seats

        # Importing some of these registers kinds of operations, which any process must know.
        from billing import (  # noqa: F401
            catalog_sync,
            changes,
            checkout,
            entitlements,
            holdings,
            measures,
            mirror,
            notices,
            promotions,
            trials,
            usage,
        )
        from saas.observability import metrics

        mirror.tame()
        holdings.register()
        metrics.gauges(measures.gauges)
        brands.on_created(trials.start)
        brands.trial_offered_by(trials.is_open)
        seats.limited_by(lambda brand_id: entitlements.of(brand_id).members)
        banners.source(notices.banner)
        overview.card(60, "billing/card.html", notices.card)
