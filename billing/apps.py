"""Django's entry to billing."""

from __future__ import annotations

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import banners, brands, overview

        # The first two register kinds of operations, which a sweep must know in any process.
        from billing import catalog_sync, checkout, holdings, mirror, notices, trials  # noqa: F401

        mirror.tame()
        holdings.register()
        brands.on_created(trials.start)
        banners.source(notices.banner)
        overview.card(60, "billing/card.html", notices.card)
