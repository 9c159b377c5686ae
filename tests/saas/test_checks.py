"""What must not run does not start: each refusal, in words that say what to do."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings

from saas import checks
from saas.errors import Misconfigured

GOOD: dict[str, Any] = {
    "DEBUG": False,
    "SECRET_KEY": "Zk3!v9Qw7#xL2pRt8@mN5bYc4Hd6Jf1Gs0Ea",
    "SEALING_KEYS": "k1:" + base64.b64encode(bytes(range(32))).decode(),
    "STRIPE_SECRET_KEY": "sk_live_" + "x" * 24,
    "STRIPE_LIVE_MODE": True,
    "STRIPE_WEBHOOK_SECRETS": ["whsec_abc"],
    "TRUSTED_PROXIES": ["10.0.0.0/8"],
    "HTTPS": True,
    "ALLOWED_HOSTS": ["harbor.example"],
}
TEST_KEY = {"STRIPE_SECRET_KEY": "sk_test_" + "x" * 24, "STRIPE_LIVE_MODE": False}
LOCAL_CACHE = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
NO_CACHE = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:1/0",
    }
}


def found() -> list[str]:
    from django.core.checks import run_checks

    return [str(message.id) for message in run_checks(tags=[checks.TAG])]


def test_a_good_installation_passes() -> None:
    with override_settings(**GOOD):
        assert found() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"SECRET_KEY": ""}, "harbor.E001"),
        ({"SECRET_KEY": "short"}, "harbor.E001"),
        ({"SECRET_KEY": "change-me-" * 6}, "harbor.E001"),
        ({"SECRET_KEY": "django-insecure-8s7df6g8s7d6fg8s7d6fg87s6dfg"}, "harbor.E001"),
        ({"SECRET_KEY": "a" * 60}, "harbor.E001"),
        ({"SEALING_KEYS": ""}, "harbor.E002"),
        ({"SEALING_KEYS": "k1:short"}, "harbor.E002"),
        ({"SEALING_KEYS": "k1:" + base64.b64encode(bytes(32)).decode()}, "harbor.E002"),
        ({"STRIPE_SECRET_KEY": "", "STRIPE_LIVE_MODE": False}, "harbor.E003"),
        (TEST_KEY, "harbor.E003"),
        ({"DEBUG": True}, "harbor.E003"),  # with the live key
        ({"STRIPE_WEBHOOK_SECRETS": []}, "harbor.E004"),
        ({"CACHES": LOCAL_CACHE}, "harbor.E005"),
        ({"CACHES": NO_CACHE}, "harbor.E005"),
        ({"TRUSTED_PROXIES": []}, "harbor.E006"),
        ({"TRUSTED_PROXIES": ["proxy.local"]}, "harbor.E006"),
        ({"TRUSTED_PROXIES": ["0.0.0.0/0"]}, "harbor.E006"),
        ({"HTTPS": False}, "harbor.E007"),
        ({"ALLOWED_HOSTS": []}, "harbor.E008"),
        ({"ALLOWED_HOSTS": ["*"]}, "harbor.E008"),
    ],
)
def test_each_danger_is_refused(changes: dict[str, Any], expected: str) -> None:
    with override_settings(**(GOOD | changes)):
        assert found() == [expected]


def test_debug_forgives_what_a_laptop_lacks_but_never_a_live_key() -> None:
    laptop = GOOD | TEST_KEY | {"DEBUG": True, "SECRET_KEY": "dev", "HTTPS": False}
    laptop |= {"STRIPE_WEBHOOK_SECRETS": [], "TRUSTED_PROXIES": [], "ALLOWED_HOSTS": []}
    with override_settings(**laptop):
        assert found() == []


def test_every_refusal_says_what_to_do() -> None:
    from django.core.checks import run_checks

    nothing = GOOD | TEST_KEY | {"SECRET_KEY": "", "SEALING_KEYS": "", "TRUSTED_PROXIES": []}
    with override_settings(**nothing):
        messages = run_checks(tags=[checks.TAG])
    assert len(messages) == 4
    assert all(message.hint and message.hint.endswith((".", ".", "seals.")) for message in messages)


@pytest.mark.django_db
def test_the_role_of_the_tests_is_bound_by_row_level_security() -> None:
    assert checks.database_role(None, databases=["default"]) == []
    assert checks.unprotected_tables() == []


@pytest.mark.django_db
def test_a_role_above_row_level_security_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "ROLES", "SELECT 'boss', %s IS NOT NULL")
    [message] = checks.database_role(None, databases=["default"])
    assert message.id == "harbor.E009"
    assert "boss" in message.msg


@pytest.mark.django_db
def test_a_table_with_a_brand_and_no_policy_is_refused() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE leaky (brand_id bigint)")
    assert checks.unprotected_tables() == ["leaky"]
    with override_settings(**GOOD), pytest.raises(Misconfigured, match=r"E010.*leaky"):
        checks.refuse()


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["-c", "import saas.wsgi"],
        ["-m", "celery", "-A", "saas.celery", "worker", "--pool", "solo"],
        ["-m", "celery", "-A", "saas.celery", "beat"],
        ["manage.py", "check"],
    ],
    ids=["web", "worker", "beat", "manage"],
)
def test_no_process_starts_with_a_default_secret(live_db: Any, command: list[str]) -> None:
    env = {**os.environ, "DATABASE_URL": live_db.url, "DEBUG": "false", "SECRET_KEY": "change-me"}
    done = subprocess.run(
        [sys.executable, *command], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "SECRET_KEY is missing, short or a default." in done.stderr
