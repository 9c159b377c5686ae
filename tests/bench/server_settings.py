"""Harbor's settings with the two views that the webhook bench compares with."""

from __future__ import annotations

from saas.settings import *  # noqa: F403

ROOT_URLCONF = "tests.bench.server_urls"
