"""Our short way to dj-stripe's schema ends where upstream's long way does."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import djstripe
import psycopg
import pytest

from saas.embedded import commands
from tests import servers

UPSTREAM = Path(djstripe.__file__).parent / "migrations"
OURS = commands.BASE / "vendor_migrations" / "djstripe"

SCHEMA = """
SELECT 'column', table_name, column_name, data_type, character_maximum_length::text,
       is_nullable, column_default, is_identity
  FROM information_schema.columns WHERE table_name LIKE 'djstripe%'
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', '', ''
  FROM pg_constraint WHERE conrelid::regclass::text LIKE 'djstripe%'
UNION ALL
SELECT 'index', tablename, indexname, indexdef, '', '', '', ''
  FROM pg_indexes WHERE tablename LIKE 'djstripe%'
"""


def test_upstream_is_the_version_that_ours_was_made_from() -> None:
    listed = dict(
        reversed(line.split()) for line in (OURS / "upstream.sha256").read_text().splitlines()
    )
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in UPSTREAM.glob("0*.py")}
    assert found == listed, "dj-stripe changed: see the docstring of vendor_migrations' 0001"
    assert {p.name for p in OURS.glob("0*.py")} == set(listed)


@pytest.mark.slow
@pytest.mark.timeout(900)  # upstream's way takes a minute and a half on a quiet machine
def test_the_schema_equals_upstreams(django_test_environment: None) -> None:
    schemas = [_schema("saas.settings"), _schema("tests.stack.upstream_settings")]
    assert len(schemas[0]) > 1000
    assert schemas[0] == schemas[1]


def _schema(settings: str) -> set[tuple[str, ...]]:
    name = f"vendor_{os.environ['REDIS_URL'].rpartition('/')[2]}_{settings.partition('.')[0]}"
    url = servers.create_empty(name)
    try:
        env = {**os.environ, "DJANGO_SETTINGS_MODULE": settings, "DATABASE_URL": url}
        migrate = commands.manage("migrate", "djstripe", "--skip-checks", "--verbosity", "0")
        subprocess.run(migrate, env=env, check=True, capture_output=True, cwd=commands.BASE)
        with psycopg.connect(url) as connection:
            return set(connection.execute(SCHEMA).fetchall())
    finally:
        servers.drop(name)
