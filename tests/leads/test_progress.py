"""What a running backfill says of its pace."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from leads.backfill import progress
from leads.models import Backfill, Cursor, Rate
from saas.tenancy import scope
from tests.leads.factories import make_campaign, make_connection


@pytest.mark.parametrize(("calls", "pace"), [(30, 20), (75, 50), (100, 50)])
def test_the_pace_is_measured_and_never_above_the_limit(brand: Any, calls: int, pace: int) -> None:
    """Two windows of 50 calls in the first 90 seconds are 67 a minute, which can't go on."""
    now = timezone.now()
    with scope(brand):
        backfill = Backfill.objects.create(
            connection=make_connection(calls_per_minute=50),
            state=Backfill.State.RUNNING,
            started_at=now - timedelta(seconds=90),
        )
        Rate.objects.create(backfill=backfill, at=now - timedelta(seconds=80), calls=calls)
        assert progress.calls_per_minute(backfill, now) == pytest.approx(pace)


def test_the_time_left_counts_an_exports_rows_and_the_calls_after_it(brand: Any) -> None:
    """30,000 of 90,000 rows came in 5 minutes, 100 a second: the rest takes 600 s. Then there are
    90,000 threads at 50 calls a minute; the pages of who replied are not wanted."""
    now = timezone.now()
    with scope(brand):
        campaign = make_campaign(connection=make_connection(calls_per_minute=50))
        backfill = Backfill.objects.create(
            connection=campaign.connection,
            state=Backfill.State.RUNNING,
            started_at=now - timedelta(minutes=5),
        )
        for kind, source in (("leads", "export"), ("replied", "pages")):
            Cursor.objects.create(
                backfill=backfill,
                campaign=campaign,
                kind=kind,
                source=source,
                position=30_000 if kind == "leads" else 0,
                total=90_000 if kind == "leads" else None,
            )
        Rate.objects.create(backfill=backfill, at=now - timedelta(minutes=1), calls=1, leads=30_000)
        measured = progress.of(backfill, now)
    assert measured.calls_left == 90_001
    assert measured.eta == pytest.approx(600 + 90_001 / 50 * 60)
