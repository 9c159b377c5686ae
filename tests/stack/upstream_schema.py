"""The schema that dj-stripe's own migrations make, recorded: making it takes a minute and a half.

A record holds what made it: the hashes of upstream's migrations and the versions of Django and
PostgreSQL. It counts only where all of these are the same; elsewhere upstream's way is walked.

    python -m tests.stack.upstream_schema            walk it, and compare with the record
    python -m tests.stack.upstream_schema --record   walk it, and write the record
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import django
import djstripe
import psycopg

from saas.embedded import commands
from tests import servers

UPSTREAM = Path(djstripe.__file__).parent / "migrations"
RECORD = Path(__file__).with_name("upstream_schema.json.gz")
Schema = set[tuple[str | None, ...]]

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


def hashes() -> dict[str, str]:
    """Return the SHA-256 of each of upstream's migrations."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in UPSTREAM.glob("0*.py")}


def origin() -> dict[str, Any]:
    """Return what the schema depends on; needs the servers of a test run."""
    with psycopg.connect(os.environ["HARBOR_TEST_SUPERUSER_URL"]) as connection:
        postgres = connection.info.server_version // 10_000
    return {"migrations": hashes(), "django": django.get_version(), "postgres": postgres}


def recorded(made_by: Mapping[str, Any]) -> Schema | None:
    """Return the recorded schema if just this made it, else None."""
    record = json.loads(gzip.decompress(RECORD.read_bytes())) if RECORD.exists() else {}
    if record.get("origin") != made_by:
        return None
    return {tuple(row) for row in record["schema"]}


def upstream() -> Schema:
    """Migrate an empty database upstream's way and read its schema."""
    return migrated("tests.stack.upstream_settings")


def migrated(settings: str) -> Schema:
    """Migrate an empty database with these settings and read dj-stripe's part of its schema."""
    name = f"vendor_{os.getpid()}_{settings.partition('.')[0]}"
    url = servers.create_empty(name)
    try:
        env = {**os.environ, "DJANGO_SETTINGS_MODULE": settings, "DATABASE_URL": url}
        migrate = commands.manage("migrate", "djstripe", "--skip-checks", "--verbosity", "0")
        subprocess.run(migrate, env=env, check=True, capture_output=True, cwd=commands.BASE)
        with psycopg.connect(url) as connection:
            return set(connection.execute(SCHEMA).fetchall())
    finally:
        servers.drop(name)


def _main() -> int:
    running = servers.start()
    try:
        os.environ.update(servers.environment(running))
        os.environ.update(servers.worker_environment(0))
        made_by, schema = origin(), upstream()
        if "--record" in sys.argv[1:]:
            rows = sorted(schema, key=str)
            text = json.dumps({"origin": made_by, "schema": rows}, indent=0)
            RECORD.write_bytes(gzip.compress(text.encode(), mtime=0))
            print(f"{RECORD.name}: {len(schema)} rows")
            return 0
        same = recorded(made_by) == schema
        print("The record is what upstream makes." if same else "The record is not current.")
        return 0 if same else 1
    finally:
        running.stop()


if __name__ == "__main__":
    sys.exit(_main())
