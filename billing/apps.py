"""Django's entry to billing."""

from __future__ import annotations

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import brands
        from billing import mirror, trials

        mirror.tame()
        brands.on_created(trials.start)
