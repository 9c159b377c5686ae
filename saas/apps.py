"""Django's entry to the ground floor: start-up refusals and tasks."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin.apps import SimpleAdminConfig
from django.utils.module_loading import autodiscover_modules


class SaasConfig(AppConfig):
    name = "saas"
    default = True
    verbose_name = "Operations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from saas import celery, checks  # noqa: F401
        from saas.observability import sentry

        environment = "development" if settings.DEBUG else "production"
        sentry.start(settings.SENTRY_DSN, release=settings.RELEASE, environment=environment)


class HarborAdminConfig(SimpleAdminConfig):
    """Django's admin on our site class (MFA, one transaction that sees every brand)."""

    default = False
    default_site = "saas.admin_site.HarborAdminSite"

    def ready(self) -> None:
        super().ready()
        autodiscover_modules("admin")
