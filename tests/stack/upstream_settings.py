"""Our settings with dj-stripe's own migrations, for the comparison of schemas."""

from saas.settings import *  # noqa: F403

MIGRATION_MODULES = {}
