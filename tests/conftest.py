"""Every test stands on a real PostgreSQL and Valkey, started before Django reads its settings."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests import servers

pytest_plugins = [
    "tests.fixtures.database",
    "tests.fixtures.people",
    "tests.fixtures.processes",
    "tests.fixtures.browser",
]
# No example fails for a busy machine. CI takes the same ones each time, other runs look further.
settings.register_profile(
    "harbor",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("HARBOR_TEST_ALL")),
)
settings.load_profile("harbor")
RUNNING = pytest.StashKey[servers.Servers]()


def pytest_configure(config: pytest.Config) -> None:
    """Runs before pytest-django's own hook, which sets Django up."""
    if config.option.help or config.option.version:
        return
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker:
        running = servers.start()
        config.stash[RUNNING] = running
        os.environ.update(servers.environment(running))
        if config.getoption("numprocesses", None):
            return  # the workers set Django up, each on its own database
    os.environ.update(servers.worker_environment(int(worker[2:]) + 1 if worker else 0))

    from django.conf import settings  # read now, with the environment complete

    settings.WHITENOISE_AUTOREFRESH = True  # no walk over all static files for each client
    settings.PASSWORD_HASHERS = ["tests.hashers.QuickHasher"]


def pytest_unconfigure(config: pytest.Config) -> None:
    running = config.stash.get(RUNNING, None)
    if running:
        running.stop()
