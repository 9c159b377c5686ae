"""Our short way to dj-stripe's schema ends where upstream's long way does."""

from __future__ import annotations

import pytest

from saas.embedded import commands
from tests.stack import upstream_schema

OURS = commands.BASE / "vendor_migrations" / "djstripe"


def test_upstream_is_the_version_that_ours_was_made_from() -> None:
    listed = dict(
        reversed(line.split()) for line in (OURS / "upstream.sha256").read_text().splitlines()
    )
    assert upstream_schema.hashes() == listed, (
        "dj-stripe changed: see the docstring of vendor_migrations' 0001"
    )
    assert {p.name for p in OURS.glob("0*.py")} == set(listed)


@pytest.mark.slow
@pytest.mark.timeout(900)  # upstream's way, where it is not recorded, takes a minute and a half
def test_the_schema_equals_upstreams(django_test_environment: None) -> None:
    ours = upstream_schema.migrated("saas.settings")
    theirs = upstream_schema.recorded(upstream_schema.origin())
    assert len(ours) > 1000
    assert ours == (upstream_schema.upstream() if theirs is None else theirs)


@pytest.mark.parametrize("changed", ["migrations", "django", "postgres"])
def test_a_record_made_by_something_else_does_not_count(changed: str) -> None:
    made_by = upstream_schema.origin()
    assert upstream_schema.recorded(made_by)
    assert upstream_schema.recorded(made_by | {changed: "other"}) is None
